"""Rows that are stretches of one file stand and fall with it: changed, gone, moved."""

import os
import shutil

import pytest

from tests.vifistore.extract.conftest import write_clip
from vifistore.errors import StoreError, UsageError
from vifistore.scanning.changes import WATCHED, ChangeLog
from vifistore.scanning.growing import StoredFiles, cut_new
from vifistore.scanning.presence import Presence
from vifistore.scanning.relocate import find_videos, relocate
from vifistore.scanning.scan import add_new
from vifistore.sources.footage import LocalFile
from vifistore.store.store import create_store
from vifistore.videos.listing import read_source
from vifistore.videos.probe import probe
from vifistore.videos.stretches import Windows


@pytest.fixture
def dataset(tmp_path):
    """Two clips in three stretches each."""
    listing = None
    for number in range(2):
        write_clip(tmp_path / "v" / f"{number}.mp4", seed=number, num_frames=12 + number)
    listing = read_source(tmp_path / "v")
    probed = {path: probe(tmp_path / "v" / path) for path in listing.paths}
    windows = Windows(seconds=0.2, stride_seconds=0.2)
    cut = cut_new(StoredFiles(None), listing, probed, windows)
    dataset = create_store(tmp_path / "s.zarr").new_dataset("d")
    add_new(dataset, cut.listing, StoredFiles(None), probed)
    assert dataset.num_videos == 6
    return dataset


def test_a_changed_file_is_named_once_with_its_rows(dataset, log, monkeypatch):
    os.utime(dataset.root() / "0.mp4", (1, 1))
    asked = []
    stamp = LocalFile.stamp
    monkeypatch.setattr(LocalFile, "stamp", lambda file: asked.append(file) or stamp(file))
    changes, files = ChangeLog(dataset, dataset.paged(*WATCHED)), dataset.files()
    for row in range(6):
        changes.look(row, files[row])
        changes.read(row, "f" * 64)
    changes.say()
    assert len(asked) == 2
    assert log == [
        "1 videos changed on disk since the scan, and were read as they are now: 0.mp4 (its date "
        "is another; rows 0.mp4@0-0.2, 0.mp4@0.2-0.4, 0.mp4@0.4-end)"
    ]


def test_files_are_looked_for_once_whatever_their_rows(dataset, monkeypatch):
    asked = []
    monkeypatch.setattr(LocalFile, "exists", lambda file: asked.append(file) or True)
    Presence(dataset).require()
    assert len(asked) == 2
    monkeypatch.undo()
    # One alone is one that is missing.
    (dataset.root() / "0.mp4").unlink()
    Presence(dataset).require()
    (dataset.root() / "1.mp4").unlink()
    with pytest.raises(StoreError, match="2 of 2 videos of d that were looked for are not below"):
        Presence(dataset).require()


def test_moved_files_are_found_once_for_all_their_rows(dataset, tmp_path, monkeypatch):
    shutil.move(tmp_path / "v", tmp_path / "new" / "deep")
    looked = []
    stamp = LocalFile.stamp
    monkeypatch.setattr(LocalFile, "stamp", lambda file: looked.append(file) or stamp(file))
    found = find_videos(dataset, tmp_path / "new")
    assert (found.found, found.moved, found.lost) == (6, 6, [])
    assert len(looked) == 2
    relocate(dataset, found)
    table = dataset.videos()
    assert list(table["path"]) == ["deep/0.mp4"] * 3 + ["deep/1.mp4"] * 3
    assert list(table["id"])[1] == "0.mp4@0.2-0.4"
    # What is scanned again below the new root is what the dataset has.
    listing = StoredFiles(dataset).joined(read_source(tmp_path / "new"))
    assert listing.ids == list(table["id"])


def test_two_files_are_not_found_in_one(dataset, tmp_path):
    shutil.move(tmp_path / "v", tmp_path / "new")
    shutil.copyfile(tmp_path / "new" / "0.mp4", tmp_path / "new" / "x.mp4")
    table = dataset.videos().assign(path=["a/0.mp4"] * 3 + ["b/0.mp4"] * 3, size_bytes=0)
    from vifistore.store.dataset import write_videos

    write_videos(dataset, table, [], str(tmp_path / "v"), anew=True)
    with pytest.raises(UsageError, match=r"1 files could be several videos \(first: 0\.mp4"):
        find_videos(dataset, tmp_path / "new")
