"""Training on two nodes by torchrun, and its follower on a third machine, around one bucket."""

from pathlib import Path

import numpy as np
import pytest

from tests.vifi.machines import Machines, done, machines
from tests.vifi.test_train import call
from tests.vifistore.store.conftest import bucket, bucket_server
from tests.vifistore.training.conftest import losses_of
from tests.vifistore.training.test_distributed import free_port
from vifi.__main__ import run
from vifi.demo.clips import write_clips
from vifistore.store import open_store

__all__ = ["bucket", "bucket_server", "machines"]
CLASSES = ["cross sliding sideways", "circle growing and shrinking"]


@pytest.mark.slow
def test_two_nodes_train_what_one_machine_does_and_a_third_machine_follows(
    bucket, machines: Machines, tmp_path
):
    url, out = f"{bucket}/nodes.zarr", tmp_path / "two"
    write_clips(tmp_path / "videos", CLASSES, {"train": 3}, seed=0)
    assert run(["scan", url, str(tmp_path / "videos"), "--dataset", "d"]) == 0
    port = free_port()
    for rank in range(2):
        words = call(Path(url), out, "--device", "cpu")
        words += ["--frame-cache", str(tmp_path / f"node{rank}" / "frames")]
        machines.torchrun(f"node{rank}", *words, nodes=2, rank=rank, port=port)
    watched = ["watch", str(out), url, "--dataset", "d", "--device", "cpu", "--precision", "fp32"]
    machines.start("third", "vifi", *watched, "--until-done", "--poll", "0.2")
    for process in machines.started:
        done(process)
    assert run(call(Path(url), tmp_path / "one", "--device", "cpu")) == 0
    assert losses_of(out) == pytest.approx(losses_of(tmp_path / "one"), abs=1e-5)
    last = sorted(out.glob("step-*.safetensors"))[-1]
    command = ["extract", f"{bucket}/alone.zarr", "--dataset", "d", "--model", "vifi-tiny"]
    scan = ["scan", f"{bucket}/alone.zarr", str(tmp_path / "videos"), "--dataset", "d"]
    assert run(scan) == 0
    command += ["--pretrained", str(last), "--device", "cpu", "--precision", "fp32"]
    assert run([*command, "--workers", "1"]) == 0
    name = f"two@step-{int(last.stem.removeprefix('step-'))}"
    found, alone = (
        open_store(f"{bucket}/{store}.zarr").features("d", name) for store in ("nodes", "alone")
    )
    assert found.sealed
    assert found.id == alone.id
    np.testing.assert_array_equal(found.read("frames"), alone.read("frames"))
