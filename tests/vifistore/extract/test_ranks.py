"""Several processes share a dataset: each takes its blocks, the last one seals."""

import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.vifistore.extract.conftest import scan
from vifi.verbs.extract import _share
from vifistore.errors import UsageError
from vifistore.extract.decoded_rows import default_workers
from vifistore.extract.ranks import (
    Rank,
    current_rank,
    local_count,
    local_number,
    parse_blocks,
    rank_blocks,
    without_rank,
)
from vifistore.extract.recipes import choose_device
from vifistore.store import open_store
from vifistore.store.verifying.verify import verify_store
from vifistore.training.options import default_readers

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
OPEN_MPI = tuple(f"OMPI_COMM_WORLD_{name}" for name in ("RANK", "SIZE", "LOCAL_RANK", "LOCAL_SIZE"))
SCRIPT = {"SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_LOCALID": "0"}
FLAGS = ("--dataset", "d", "--model", "vifi-tiny", "--pretrained", "none", "--frames", "1")


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in os.environ.keys() - without_rank(os.environ).keys():
        monkeypatch.delenv(name, raising=False)


def set_all(monkeypatch, values: dict) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("values", "rank", "local"),
    [
        ({}, None, (0, 1)),
        ({"RANK": "1"}, None, (0, 1)),
        (
            dict(zip(NAMES, ("5", "8", "1", "4"), strict=True)),
            Rank(number=5, count=8),
            (1, 4),
        ),
        (
            {
                "SLURM_PROCID": "2",
                "SLURM_NTASKS": "6",
                "SLURM_LOCALID": "0",
                "SLURM_STEP_TASKS_PER_NODE": "2(x3)",
            },
            Rank(number=2, count=6),
            (0, 2),
        ),
        # The script of a job that asks for tasks is one process, not the first of many.
        (
            {"SLURM_PROCID": "0", "SLURM_NTASKS": "6", "SLURM_STEP_NUM_TASKS": "1"},
            Rank(number=0, count=1),
            (0, 1),
        ),
        # So it is where Slurm says of no step, or of one of its own: the script's, a shell's.
        *(
            (SCRIPT | {"SLURM_NTASKS_PER_NODE": "8"} | step, None, (0, 1))
            for step in ({}, {"SLURM_STEP_ID": "4294967291"}, {"SLURM_STEPID": "4294967290"})
        ),
        (
            SCRIPT | {"SLURM_STEP_ID": "0"},
            Rank(number=0, count=8),
            (0, 1),
        ),
        (
            dict(zip(OPEN_MPI, ("3", "4", "1", "2"), strict=True)) | SCRIPT,
            Rank(number=3, count=4),
            (1, 2),
        ),
        # By srun --mpi=pmi2, which leaves what is on this machine to Slurm.
        (
            {"PMI_RANK": "1", "PMI_SIZE": "2", "SLURM_PROCID": "1", "SLURM_LOCALID": "1"},
            Rank(number=1, count=2),
            (1, 1),
        ),
        # torchrun as the second of two tasks of srun.
        (
            dict(zip(NAMES, ("5", "8", "1", "4"), strict=True))
            | {"SLURM_PROCID": "1", "SLURM_NTASKS": "2", "SLURM_LOCALID": "0"},
            Rank(number=5, count=8),
            (1, 4),
        ),
    ],
)
def test_what_launchers_say(monkeypatch, values, rank, local):
    set_all(monkeypatch, values)
    assert current_rank() == rank
    assert (local_number(), local_count()) == local
    assert without_rank(os.environ | {"KEPT": "1"})["KEPT"] == "1"
    for name in values:
        monkeypatch.setenv(name, without_rank(os.environ).get(name, ""))
    assert current_rank() is None


def test_numbers_that_do_not_fit(monkeypatch):
    set_all(monkeypatch, {"RANK": "2", "WORLD_SIZE": "2"})
    with pytest.raises(UsageError, match="RANK is 2 and WORLD_SIZE 2"):
        current_rank()


@pytest.mark.parametrize("num_videos", [1, 64, 65, 1000])
def test_ranks_share_all_blocks(num_videos):
    blocks = [list(rank_blocks(Rank(number=n, count=3), num_videos)) for n in range(3)]
    assert sorted(block for taken in blocks for block in taken) == list(
        parse_blocks(":", num_videos)
    )
    assert max(map(len, blocks)) - min(map(len, blocks)) <= 1


@pytest.mark.parametrize(
    ("own", "together", "device", "workers"),
    [(16, "", "cpu", 16), (16, "", "cuda", 15), (16, "4", "cuda", 3), (4, "4", "cuda", 3)],
)
def test_workers_share_the_cores(monkeypatch, own, together, device, workers):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", together)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(own)), raising=False)
    assert default_workers(torch.device(device)) == workers


@pytest.mark.parametrize(
    ("own", "together", "on_gpu", "workers"),
    [
        (16, "", False, 8),
        (16, "", True, 14),
        (16, "8", True, 1),
        (16, "4", True, 2),
        (4, "2", True, 2),
    ],
)
def test_training_shares_the_cores_as_well(monkeypatch, own, together, on_gpu, workers):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", together)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(own)), raising=False)
    assert default_readers(on_gpu=on_gpu) == workers


@pytest.mark.parametrize(("number", "device"), [("", "cuda:0"), ("1", "cuda:1"), ("2", "cuda:0")])
def test_each_process_takes_a_gpu(monkeypatch, number, device):
    monkeypatch.setenv("LOCAL_RANK", number)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", (current := []).append)
    assert choose_device("auto") == torch.device(device)
    assert current == [torch.device(device).index]
    assert choose_device("cpu") == torch.device("cpu")


def test_a_rank_of_the_verb_is_said_and_refused_for_repair(monkeypatch):
    set_all(monkeypatch, {"RANK": "1", "WORLD_SIZE": "3"})
    plain = {"blocks": "", "repair": False, "retry": False}
    assert _share(SimpleNamespace(**plain), 400) == (range(1, 7, 3), True)
    assert _share(SimpleNamespace(**plain | {"retry": True}), 400) == (range(1, 7, 3), False)
    assert _share(SimpleNamespace(**plain | {"blocks": "2:4"}), 400) == (range(2, 4), False)
    with pytest.raises(UsageError, match="--repair is the work of one process"):
        _share(SimpleNamespace(**plain | {"repair": True}), 400)


@pytest.mark.slow
def test_two_processes_make_one_sealed_set(tmp_path, clips):
    (tmp_path / "v").mkdir()
    sources = sorted(clips.rglob("*.mp4"))
    for number in range(130):
        shutil.copy(sources[number % len(sources)], tmp_path / "v" / f"{number:03}.mp4")
    scan(tmp_path / "s.zarr", tmp_path / "v")
    command = [sys.executable, "-m", "vifi", "extract", "s.zarr", *FLAGS, "--workers", "1"]
    command += ["--device", "cpu"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment | {"RANK": str(number)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    ended = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ended
    assert all("begins with one block of 64 videos in 2" in error for _, error in ended)
    assert any("; sealed" in out for out, _ in ended)
    store = open_store(tmp_path / "s.zarr")
    (features,) = (store.features("d", name) for name in store.dataset("d").feature_ids())
    assert features.counts()["done"] == 130
    frames = features.read("frames")
    np.testing.assert_array_equal(frames[0], frames[len(sources) * 20])
    assert list(verify_store(store)) == []
