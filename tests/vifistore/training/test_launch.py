"""Several processes of srun or mpirun would each train the whole run: they are refused."""

import os

import pytest
import torch

from vifi.__main__ import run
from vifistore.errors import UsageError
from vifistore.extract.ranks import without_rank
from vifistore.training.distributed import joined
from vifistore.training.faults import require_torchrun

TASK = {"SLURM_STEP_ID": "0", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
TORCHRUN = {"RANK": "0", "WORLD_SIZE": "4", "LOCAL_RANK": "0"}


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in os.environ.keys() - without_rank(os.environ).keys():
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (TASK | {"SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS": "8"}, "srun started 4 processes"),
        (TASK | {"SLURM_NTASKS": "8"}, "srun started 8 processes"),
        ({"SLURM_PROCID": "3", "SLURM_NTASKS": "8"}, "srun started 8 processes"),
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}, "mpirun started 2 processes"),
        ({"PMI_RANK": "1", "PMI_SIZE": "3"}, "mpirun started 3 processes"),
    ],
)
def test_tasks_are_refused_in_one_line(monkeypatch, tmp_path, capsys, values, words):
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=words), joined(torch.device("cpu")):
        pass
    call = ["train", "few_shot", "s.zarr", "--dataset", "d", "--model", "vifi-tiny"]
    assert run([*call, "--pretrained", "none", "--out", str(tmp_path / "o")]) == 2
    (said,) = capsys.readouterr().err.strip().splitlines()
    assert words in said
    assert "torchrun --nproc-per-node" in said
    assert len(said) < 400
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("values", "launcher"), [(TASK | {"SLURM_NTASKS": "8"}, "srun"), (TORCHRUN, "torchrun")]
)
def test_a_head_is_trained_by_one(monkeypatch, capsys, values, launcher):
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    call = ["train-head", "s.zarr", "--dataset", "d", "--features", "f", "--head", "a5"]
    assert run([*call, "--split", "train"]) == 2
    assert f"{launcher} started " in capsys.readouterr().err


@pytest.mark.parametrize(
    "values",
    [
        {},
        # A script of sbatch that starts Python itself, in a job of eight tasks.
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_LOCALID": "0"},
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_STEP_ID": "4294967291"},
        TASK | {"SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "8"},
        {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1"},
        TASK | TORCHRUN | {"SLURM_STEP_NUM_TASKS": "2"},
    ],
)
def test_one_process_and_torchrun_train(monkeypatch, values):
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    require_torchrun()
