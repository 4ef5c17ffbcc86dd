"""Whatever is killed, the same command goes on and ends with the same bytes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.vifistore.extract.conftest import scan, write_clip
from vifistore.errors import StoreError
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.job import extract_dataset
from vifistore.frames.processes.pool import DecodePool
from vifistore.store import open_store
from vifistore.store.info import describe_store
from vifistore.store.schema import FEATURE_ARRAYS
from vifistore.store.verifying.verify import verify_store

SETTINGS = ExtractSettings(
    model="vifi-tiny", pretrained="none", frames=2, precision="fp32", device="cpu", workers=1
)
FLAGS = ("--dataset", "d", "--model", "vifi-tiny", "--pretrained", "none", "--frames", "2")
NAME = "vifi-tiny@random.2f"
# Four blocks: when the first one or two are there, a tenth of a second of work is left to kill.
NUM_CLIPS = 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Clips of different bytes."""
    folder = tmp_path_factory.mktemp("kills")
    write_clip(folder / "000.mp4", seed=5, num_frames=30)
    clip = (folder / "000.mp4").read_bytes()
    for number in range(1, NUM_CLIPS):
        box = (16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big")
        (folder / f"{number:03}.mp4").write_bytes(clip + box)
    return folder


@pytest.fixture(scope="module")
def straight(folder, tiny, tmp_path_factory) -> dict[str, np.ndarray]:
    """What a run that nothing disturbs gives."""
    store = scan(tmp_path_factory.mktemp("straight") / "s.zarr", folder)
    extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    return arrays(store)


def arrays(store) -> dict[str, np.ndarray]:
    features = open_store(store.path).features("d", NAME)
    return {name: features.read(name) for name in FEATURE_ARRAYS}


def assert_complete(store, straight) -> None:
    for name, values in straight.items():
        np.testing.assert_array_equal(arrays(store)[name], values, err_msg=name)
    assert list(verify_store(open_store(store.path))) == []


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on(tmp_path, folder, straight, tiny):
    store = scan(tmp_path / "s.zarr", folder)
    command = [sys.executable, "-m", "vifi", "extract", "s.zarr", *FLAGS]
    command += ["--precision", "fp32", "--device", "cpu", "--workers", "1"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("s.zarr/features/d/*/status/c.0")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
    done = store.features("d", NAME).counts()["done"]
    assert 64 <= done < NUM_CLIPS
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert (report.encoded, report.sealed) == (NUM_CLIPS - done, True)
    assert_complete(store, straight)


def test_workers_that_are_killed_cost_a_video_each(tmp_path, folder, straight, tiny, monkeypatch):
    store = scan(tmp_path / "s.zarr", folder)
    pools, decode = [], DecodePool.decode_stretches

    def disturbed(self, jobs):
        pools.append(self)
        for number, result in enumerate(decode(self, jobs)):
            if number in (20, 70):
                os.kill(self.worker_pids[0], signal.SIGKILL)
            yield result

    monkeypatch.setattr(DecodePool, "decode_stretches", disturbed)
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert len(pools) == 1
    assert report.quarantined <= 2
    assert report.sealed
    monkeypatch.undo()
    if report.quarantined:
        reasons = {entry["reason"] for entry in store.features("d", NAME).quarantine()}
        assert reasons == {"worker crashed"}
        extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny, retry=True)
    found = arrays(store)
    for name in ("frames", "view_mean", "view_consensus", "status", "content_digest"):
        np.testing.assert_array_equal(found[name], straight[name], err_msg=name)
    assert list(verify_store(open_store(store.path))) == []


def test_a_writer_that_fails_stops_the_run(tmp_path, folder, tiny, monkeypatch):
    store = scan(tmp_path / "s.zarr", folder)

    def broken(self, blocks):
        raise StoreError("the disk is gone; put it back")

    monkeypatch.setattr("vifistore.store.writer.FeatureWriter.write_blocks", broken)
    before = set(_children())
    with pytest.raises(StoreError, match="the disk is gone"):
        extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert set(_children()) <= before
    monkeypatch.undo()
    assert store.features("d", NAME).counts()["done"] == 0
    shutil.rmtree(store.path)


def _children() -> list[str]:
    task = Path(f"/proc/{os.getpid()}/task")
    return [pid for path in task.glob("*/children") for pid in path.read_text().split()]


def test_a_set_of_which_only_the_group_is_there_goes_on(folder, tiny, tmp_path, straight):
    """As a run left it that was stopped when it began, before the group came last."""
    store = scan(tmp_path / "s.zarr", folder)
    extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny, limit=1)
    (path,) = (store.path / "features" / "d").glob("*/zarr.json")
    for array in path.parent.glob("*/"):
        shutil.rmtree(array)
    assert describe_store(open_store(store.path))["datasets"]["d"]["features"][0]["videos"] == 0
    extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert_complete(store, straight)
