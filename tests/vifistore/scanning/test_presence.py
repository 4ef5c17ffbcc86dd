"""A folder that is gone stops a run; one file that is gone is quarantined."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.support import video_table
from tests.vifistore.extract.conftest import scan, write_clip
from tests.vifistore.extract.test_pipeline import SETTINGS
from vifistore.errors import StoreError
from vifistore.extract import decoded_rows
from vifistore.extract.job import extract_dataset, plan_dataset
from vifistore.frames.processes.decode_jobs import DecodeJob
from vifistore.scanning.presence import Presence
from vifistore.store.dataset import write_videos
from vifistore.store.store import create_store
from vifistore.training.options import RunOptions
from vifistore.training.training_settings import TrainSettings
from vifistore.training.training_split import open_training_set

NUM_CLIPS = 6


@pytest.fixture
def folder(tmp_path):
    """Six clips of two classes below `v`."""
    for number in range(NUM_CLIPS):
        name = ("red run", "blue jump")[number % 2]
        write_clip(tmp_path / "v" / name / f"{number}.mp4", seed=number, num_frames=3)
    return tmp_path / "v"


@pytest.fixture
def moved(folder, tmp_path):
    """A store whose videos have moved away."""
    store = scan(tmp_path / "s.zarr", folder)
    folder.rename(tmp_path / "moved")
    return store


def test_a_folder_that_is_gone_stops_before_anything_is_written(moved, tiny):
    words = (
        "the folder of the videos of d is gone: .*/v; mount it and run the same command again, or"
    )
    with pytest.raises(StoreError, match=words) as caught:
        extract_dataset(moved.dataset("d"), SETTINGS, loaded=tiny)
    assert f"vifi relocate {moved.path} --dataset d --root NEW" in str(caught.value)
    assert (moved.dataset("d").feature_ids(), moved.checkpoints()) == ([], [])
    # An empty mount is there, and holds nothing.
    moved.dataset("d").root().mkdir()
    with pytest.raises(StoreError, match="6 of 6 videos of d that were looked for are not below"):
        extract_dataset(moved.dataset("d"), SETTINGS, loaded=tiny)
    assert moved.dataset("d").feature_ids() == []


def test_what_only_reads_the_videos_stops_too(moved, tiny):
    with pytest.raises(StoreError, match="is gone"):
        plan_dataset(moved.dataset("d"), SETTINGS)
    settings = TrainSettings(num_frames=2)
    with pytest.raises(StoreError, match="is gone"):
        open_training_set(moved.dataset("d"), "", tiny, settings, RunOptions())


def test_nothing_is_looked_for_where_nothing_is_to_do(folder, tmp_path, tiny):
    store = scan(tmp_path / "s.zarr", folder)
    assert extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny).encoded == NUM_CLIPS
    folder.rename(tmp_path / "moved")
    again = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert (again.encoded, again.quarantined, again.sealed) == (0, 0, True)


def test_fewer_than_half_are_quarantined_and_more_stop_the_run(folder, tmp_path, tiny):
    store = scan(tmp_path / "s.zarr", folder)
    files = sorted(folder.rglob("*.mp4"))
    for file in files[:3]:
        file.unlink()
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert (report.encoded, report.quarantined, report.sealed) == (3, 3, True)
    files[3].unlink()
    with pytest.raises(StoreError, match="4 of 6 videos of d that were looked for are not below"):
        extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny, retry=True)
    assert store.features("d", report.name).sealed


def test_the_only_video_is_quarantined(tmp_path, tiny):
    write_clip(tmp_path / "v" / "a" / "1.mp4", seed=1, num_frames=3)
    write_clip(tmp_path / "v" / "a" / "2.mp4", seed=2, num_frames=3)
    store = scan(tmp_path / "s.zarr", tmp_path / "v")
    (tmp_path / "v" / "a" / "1.mp4").unlink()
    assert extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny).quarantined == 1


def test_a_folder_that_goes_while_it_is_read_stops_the_run(folder, tmp_path, tiny, monkeypatch):
    store = scan(tmp_path / "s.zarr", folder)
    paths = []

    def jobs(self, rows):
        for row in rows:
            if row == 2:
                folder.rename(tmp_path / "moved")
            paths.append(row)
            yield [row], DecodeJob(footage=self._files[row])

    monkeypatch.setattr(decoded_rows.DecodedRows, "_jobs", jobs)
    with pytest.raises(StoreError, match="the folder of the videos of d is gone"):
        extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    (feature_id,) = store.dataset("d").feature_ids()
    features = store.features("d", feature_id)
    assert not features.sealed
    assert features.counts()["quarantined"] == 0
    monkeypatch.undo()
    (tmp_path / "moved").rename(folder)
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert (report.encoded, report.quarantined, report.sealed) == (NUM_CLIPS, 0, True)


def test_many_videos_are_looked_for_as_seldom_as_that_tells(tmp_path, monkeypatch):
    store = create_store(tmp_path / "s.zarr")
    (tmp_path / "v").mkdir()
    write_videos(store.new_dataset("d"), video_table(5000, ["a"]), ["a"], str(tmp_path / "v"))
    asked = []

    def exists(path):
        asked.append(Path(path).name)
        return True

    monkeypatch.setattr(os.path, "exists", exists)
    presence = Presence(store.dataset("d"))
    presence.require()
    assert 200 <= len(asked) <= 256
    # From all of them.
    assert int(asked[-1][1:-4]) > 4900
    asked.clear()
    looks = []
    monkeypatch.setattr(presence, "require", lambda: looks.append(len(presence._missing)))
    for number in [*range(64), *range(64)]:
        # Another stretch of a file that is missing is no further one.
        presence.miss(f"{number}.mp4")
    assert looks == [1, 2, 4, 8, 16, 32, 64]
    shutil.rmtree(tmp_path / "v")
    presence.miss("more.mp4")
    assert looks[-1] == 65
    assert np.array_equal(looks, sorted(looks))
