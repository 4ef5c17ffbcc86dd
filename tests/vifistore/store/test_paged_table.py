"""Columns that are read a page at a time are those that were written, whatever becomes of them."""

import json
import shutil

import numpy as np
import pytest

from tests.support import video_table
from vifistore.errors import DamagedError, StoreError
from vifistore.store import paged_table, tables
from vifistore.store.dataset import Dataset, write_videos
from vifistore.store.store import create_store

COLUMNS = ("path", "size_bytes", "start_seconds", "end_seconds")
PAGE, ROWS = 16, 150


@pytest.fixture
def dataset(tmp_path, monkeypatch) -> Dataset:
    """A table of ten pages, of which a few are held, and the last is a short one."""
    monkeypatch.setattr(tables, "TABLE_CHUNK", PAGE)
    monkeypatch.setattr(paged_table, "TABLE_CHUNK", PAGE)
    monkeypatch.setattr(paged_table, "_AT_ONCE", 3)
    made = create_store(tmp_path / "s.zarr").new_dataset("d")
    table = video_table(ROWS, ["a"])
    table["size_bytes"] = np.arange(ROWS) + 7
    write_videos(made, table, ["a"], "/videos")
    return made


def test_rows_are_those_of_the_whole_table_in_any_order(dataset):
    whole, paged = dataset.videos(), dataset.paged(*COLUMNS)
    assert (paged.num_rows, len(paged["path"])) == (ROWS, ROWS)
    for row in [0, 149, 15, 16, 80, 3, *np.random.default_rng(0).permutation(ROWS)]:
        assert paged["path"][row] == whole["path"][row]
        assert paged["size_bytes"][row] == whole["size_bytes"][row]
        assert (paged["start_seconds"][row], np.isnan(paged["end_seconds"][row])) == (0, True)
    rows = np.array([149, 2, 77])
    assert paged["path"][rows].tolist() == whole["path"][rows].tolist()
    assert paged["size_bytes"][rows].dtype == np.int64
    assert list(paged["path"]) == whole["path"].tolist()
    parts = list(paged.read_through())
    assert [first for first, _ in parts] == [0, 48, 96, 144]
    found = np.concatenate([columns["size_bytes"] for _, columns in parts])
    assert found.tolist() == whole["size_bytes"].tolist()
    assert len(paged._pages) <= 4 * 2


def test_a_page_that_is_held_is_not_read_again(dataset, monkeypatch):
    paged, read = dataset.paged("path"), []
    monkeypatch.setattr(paged, "_read", lambda *told: read.append(told) or whole[told[1] : told[2]])
    whole = dataset.column("path")
    for row in [*range(64), *range(64)]:
        assert paged["path"][row] == whole[row]
    assert read == [("path", first, first + PAGE) for first in range(0, 64, PAGE)]
    assert paged["path"][149] == whole[149]
    assert read[-1] == ("path", 144, 150)
    # The oldest made room for it.
    assert paged["path"][0] == whole[0]
    assert len(read) == 6


def test_a_table_that_grows_meanwhile_stays_what_it_was(dataset):
    paged = dataset.paged("path")
    before = list(paged["path"])
    table = video_table(ROWS + 40, ["a"])
    table["size_bytes"] = np.arange(len(table)) + 7
    write_videos(dataset, table, ["a"], "/videos")
    assert len(dataset.column("path")) == ROWS + 40
    assert [paged["path"][row] for row in range(ROWS)] == before


def test_a_table_that_is_written_anew_meanwhile_is_noticed(dataset):
    paged = dataset.paged("path")
    list(paged["path"])
    table = dataset.videos()
    table["path"] = "moved/" + table["path"]
    write_videos(dataset, table, ["a"], "/videos", anew=True)
    with pytest.raises(StoreError, match=r"videos/d was written anew while this ran; run the same"):
        paged["path"][np.arange(ROWS)]


def test_chunks_that_were_swapped_are_noticed(dataset):
    folder = dataset.store.path / "videos/d/path"
    shutil.move(folder / "c.1", folder / "aside")
    shutil.move(folder / "c.2", folder / "c.1")
    shutil.move(folder / "aside", folder / "c.2")
    with pytest.raises(DamagedError, match="videos/d/path is not what was written"):
        list(dataset.paged("path")["path"])
    # Stores of before have no digests.
    file = dataset.store.path / "videos/d/zarr.json"
    document = json.loads(file.read_text())
    del document["attributes"]["digests"]
    file.write_text(json.dumps(document))
    assert len(list(dataset.paged("path")["path"])) == ROWS
