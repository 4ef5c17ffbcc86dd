"""Training on two nodes by torchrun, and its follower on a third machine, around one bucket."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.vifi.test_train import call
from tests.vifistore.store.conftest import bucket, bucket_server
from tests.vifistore.training.conftest import losses_of
from tests.vifistore.training.test_distributed import free_port
from vifi.__main__ import run
from vifi.demo.clips import write_clips
from vifistore.store import open_store

__all__ = ["bucket", "bucket_server"]
CLASSES = ["cross sliding sideways", "circle growing and shrinking"]


@pytest.fixture
def machine(tmp_path):
    """Start a program on a machine of its own: with a cache folder that no other one has."""
    started = []

    def start(name: str, *command: str) -> subprocess.Popen:
        environment = {
            **os.environ,
            **{"XDG_CACHE_HOME": str(tmp_path / name), "OMP_NUM_THREADS": "1"},
            # The machine's own name need not resolve.
            "GLOO_SOCKET_IFNAME": "lo",
        }
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [sys.executable, "-m", *command], env=environment, stdout=pipe, stderr=pipe, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_two_nodes_train_what_one_machine_does_and_a_third_machine_follows(
    bucket, machine, tmp_path
):
    url, out = f"{bucket}/nodes.zarr", tmp_path / "two"
    write_clips(tmp_path / "videos", CLASSES, {"train": 3}, seed=0)
    assert run(["scan", url, str(tmp_path / "videos"), "--dataset", "d"]) == 0
    port = str(free_port())
    nodes = [
        machine(
            f"node{rank}",
            *("torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"),
            *("--node-rank", str(rank), "--master-addr", "127.0.0.1", "--master-port", port),
            *("-m", "vifi", *call(Path(url), out, "--device", "cpu")),
            *("--frame-cache", str(tmp_path / f"node{rank}" / "frames")),
        )
        for rank in range(2)
    ]
    watched = ["watch", str(out), url, "--dataset", "d", "--device", "cpu", "--precision", "fp32"]
    follower = machine("third", "vifi", *watched, "--until-done", "--poll", "0.2")
    for process in (*nodes, follower):
        said, told = process.communicate(timeout=180)
        assert process.returncode == 0, said + told[-3000:]
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
