"""Plain shells, torchrun, SLURM and Ray, each on a machine of its own, on one set."""

import signal
import time
from pathlib import Path

import pytest

from tests.test_house import ROOT
from tests.vifi.machines import Machines, done, machines
from tests.vifistore.cluster.conftest import raylets
from tests.vifistore.extract.conftest import write_clip
from tests.vifistore.store.conftest import bucket, bucket_server
from tests.vifistore.training.test_distributed import free_port
from vifi.__main__ import run
from vifistore.store import open_store
from vifistore.store.verifying.verify import verify_store

__all__ = ["bucket", "bucket_server", "machines"]
FLAGS = ["--dataset", "d", "--model", "vifi-tiny", "--pretrained", "none", "--frames", "2"]
FLAGS += ["--device", "cpu", "--workers", "1", "--precision", "fp32"]
SBATCH = str(ROOT / "examples" / "extract_array.sbatch")


def array_task(number: int) -> dict[str, str]:
    """What SLURM tells the script of a job of an array."""
    return {
        **{"SLURM_JOB_ID": str(70 + number), "SLURM_ARRAY_JOB_ID": "70"},
        **{"SLURM_ARRAY_TASK_ID": str(number), "SLURM_ARRAY_TASK_COUNT": "2"},
        **{"SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_MAX": "1", "SLURM_RESTART_COUNT": "0"},
        # The script of a job has these, and is one process.
        **{"SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"},
        **{"SLURM_JOB_NUM_NODES": "1", "SLURM_NTASKS_PER_NODE": "1", "SLURM_CPUS_PER_TASK": "1"},
    }


def scanned(location: str, folder: Path) -> str:
    assert run(["scan", location, str(folder), "--dataset", "d"]) == 0
    return location


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """Clips of seven blocks, the last of which is not full."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(7 * 64 - 5):
        write_clip(folder / "a" / f"{number:04}.mp4", seed=number)
    return folder


def manifest(location: str) -> str:
    """The digest of the one set of a store, which is whole."""
    store = open_store(location)
    assert list(verify_store(store)) == []
    (feature_id,) = store.dataset("d").feature_ids()
    return store.features("d", feature_id).sealed["manifest"]


def blocks_written(location: str) -> list[int]:
    """Blocks by the records of all runs, each as often as one wrote it."""
    store = open_store(location)
    (feature_id,) = store.dataset("d").feature_ids()
    provenance = store.features("d", feature_id).provenance
    spans = [span for run in provenance for span in run["blocks"]]
    return sorted(block for first, stop in spans for block in range(first, stop))


@pytest.fixture(scope="module")
def alone(bucket, videos, tmp_path_factory) -> str:
    """The digest of the set as one undisturbed process makes it."""
    location = scanned(str(tmp_path_factory.mktemp("alone") / "s.zarr"), videos)
    assert run(["extract", location, *FLAGS]) == 0
    return manifest(location)


@pytest.fixture
def ray(bucket):
    """Address of a cluster of one encoder, which reaches the bucket."""
    with raylets(1) as cluster:
        yield cluster.address


@pytest.mark.slow
def test_shells_torchrun_slurm_and_ray_share_a_set(bucket, videos, alone, ray, machines: Machines):
    url = scanned(f"{bucket}/shared.zarr", videos)
    words = ["extract", url, *FLAGS]
    started = [
        machines.start("shell", "vifi", *words),
        machines.torchrun("torchrun", *words, port=free_port()),
        *(
            machines.start(f"slurm{number}", SBATCH, *words[1:], **array_task(number))
            for number in range(2)
        ),
    ]
    started.append(
        machines.start("ray", "vifi", *words, "--on", "ray", "--cores", "1", RAY_ADDRESS=ray)
    )
    for process in started:
        done(process)
    assert manifest(url) == alone
    # Nobody did again what another one did.
    assert blocks_written(url) == list(range(7))


@pytest.mark.slow
def test_a_job_that_is_told_to_stop_goes_to_the_queue_again(bucket, videos, alone, machines):
    url = scanned(f"{bucket}/requeued.zarr", videos)
    requeued = machines.programs / "requeued"
    scontrol = machines.programs / "scontrol"
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {requeued}\n')
    scontrol.chmod(0o755)
    job = machines.start("first", SBATCH, url, *FLAGS, **array_task(1))
    place = open_store(url).backend.place
    while job.poll() is None and not any(
        "/status/c" in file.key for file in place.files("features")
    ):
        time.sleep(0.2)
    # To the script alone, as `--signal=B:TERM` has it.
    job.send_signal(signal.SIGTERM)
    said = done(job)
    assert "stopped; run the same command again" in said
    assert requeued.read_text().split() == ["requeue", "70_1"]
    again = array_task(1) | {"SLURM_RESTART_COUNT": "1"}
    done(machines.start("second", SBATCH, url, *FLAGS, **again))
    assert requeued.read_text().count("requeue") == 1
    assert manifest(url) == alone
    assert blocks_written(url) == list(range(7))
