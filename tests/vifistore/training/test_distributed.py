"""Two processes give the loss curve, and but for rounding the weights, of one."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.vifistore.training.conftest import losses_of
from vifistore.errors import UsageError
from vifistore.models.checkpoint_files import read_header
from vifistore.models.weights import read_weights
from vifistore.store.identity import packed
from vifistore.training.distributed import Processes, joined

ROOT = Path(__file__).parents[3]

PROGRAM = """
import sys
from dataclasses import replace
from pathlib import Path

import torch

from tests.vifistore.training.conftest import CLASSES, SETTINGS, bright_halves, tiny_model
from vifistore.store.identity import TunedOn
from vifistore.training.run import Run, train
from vifistore.training.training_data import TrainingSet

torch.set_num_threads(1)
settings = replace(SETTINGS, micro_batch=2, mixing=True, batch_size=5)


class Found:
    # Each process finds out by itself that a video cannot be read.
    data = replace(bright_halves(), skipped={3: "gone"})
    targets, has_pixels = data.targets, True

    def __init__(self):
        self.skipped, self.digests = {}, {}

    def views(self, batches, settings, device):
        for batch in batches:
            # And each reads its own videos.
            self.digests.update({row: f"{row:016x}" for row in batch.rows if row != 3})
            self.skipped.update({3: "gone"} if 3 in batch.rows else {})
            yield from self.data.views([batch], settings, device)


report = train(
    Run(
        start=tiny_model(), settings=settings, out=Path(sys.argv[1]),
        videos=TrainingSet(
            source=Found(), class_names=CLASSES, tuned_on=TunedOn(dataset="d", split="train")
        ),
    )
)
assert report.skipped == ["gone"], report
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(out: Path, rank: int, port: int) -> subprocess.Popen:
    """A process as torchrun starts it."""
    environment = {
        **os.environ,
        **{"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"},
        **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
        # The machine's own name need not resolve.
        "GLOO_SOCKET_IFNAME": "lo",
    }
    command = [sys.executable, "-c", PROGRAM, str(out)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


def test_two_processes_give_the_curve_of_one(trained, data, tmp_path):
    """Videos fall unevenly: steps of 5, 5 and 2, of which one cannot be read."""
    port = free_port()
    processes = [start(tmp_path / "two", rank, port) for rank in range(2)]
    trained(
        out="one",
        source=replace(data, skipped={3: "gone"}),
        **{"micro_batch": 2, "mixing": True, "batch_size": 5},
    )
    for process in processes:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said[-2000:]
    one, two = losses_of(tmp_path / "one"), losses_of(tmp_path / "two")
    assert len(one) == 6
    finished = json.loads((tmp_path / "two" / "finished.json").read_text())
    assert finished["skipped"] == ["gone"]
    assert two == pytest.approx(one, abs=1e-5)
    weights = [read_weights(tmp_path / run / "step-00000006.safetensors") for run in ("one", "two")]
    for key in ("visual.proj", "text_projection", "visual.conv1.weight"):
        assert torch.allclose(weights[0][key], weights[1][key], atol=1e-5), key
    (entry,) = read_header(tmp_path / "two" / "step-00000006.safetensors").identity.tuned_on
    read = packed(f"{row:016x}" for row in range(12) if row != 3)
    assert (entry.name, entry.videos) == ("d/train", read)


def test_alone_nothing_is_added_up_or_waited_for():
    with joined(torch.device("cpu")) as (processes, device):
        assert processes == Processes(rank=0, world=1)
        assert device == torch.device("cpu")
        assert processes.merged({3: "gone"}) == {3: "gone"}
        ones = torch.ones(3)
        processes.add_up([ones])
        processes.wait()
        assert ones.tolist() == [1, 1, 1]


def test_fewer_gpus_than_processes(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "64")
    monkeypatch.setenv("LOCAL_RANK", "63")
    with (
        pytest.raises(UsageError, match="smaller --nproc-per-node"),
        joined(torch.device("cuda")),
    ):
        pass
