"""A running page notices what is added to its store."""

import logging
import os
from itertools import pairwise

import numpy as np
import pytest
from fastapi.testclient import TestClient

from harness.retrieval.indexing.bundle_files import SETTINGS
from tests.support import plain_recipe, video_table, write_features
from vifi.serving import growth
from vifi.serving.app import make_app
from vifi.serving.growth import stamp_of
from vifi.serving.library import Library
from vifistore.store.dataset import write_videos
from vifistore.store.names import set_name
from vifistore.store.store import create_store, open_store


def scan(store, count: int) -> None:
    """So many videos of a dataset."""
    write_videos(store.new_dataset("d"), video_table(count, ["a"]), ["a"], "/")


def extract(store, count: int) -> None:
    """So many videos of a dataset, under a set of the name f."""
    scan(store, count)
    dataset = store.dataset("d")
    frames = np.random.default_rng(0).normal(size=(count, 1, 4, 8)).astype(np.float32)
    writer = write_features(store, "d", plain_recipe(), frames)
    writer.seal()
    set_name(dataset, "f", writer.id, "c" * 64, force=True)


@pytest.fixture
def grown(tmp_path, monkeypatch):
    """A store of three videos, a client of its page, and the clock of the page."""
    store = create_store(tmp_path / "s.zarr")
    extract(store, 3)
    clock = [0.0]
    monkeypatch.setattr(growth.time, "monotonic", lambda: clock[0])
    library = Library(open_store(tmp_path / "s.zarr"))
    library.features = "f"
    app = make_app(library)
    return store, TestClient(app, base_url="http://127.0.0.1:8765"), clock


def num_found(client) -> int:
    found = client.get("/api/search", params={"of": "d", "row": 0, "k": 100})
    assert found.status_code == 200, found.text
    return len(found.json()["hits"])


def test_a_page_searches_what_is_added_while_it_runs(grown, monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("vifi"), "propagate", True)
    store, client, clock = grown
    assert num_found(client) == 2
    extract(store, 5)
    # It was looked at a moment ago.
    assert num_found(client) == 2
    clock[0] += growth.LOOK_SECONDS + 0.1
    with caplog.at_level(logging.INFO, "vifi"):
        assert num_found(client) == 4
    assert "the store has changed" in caplog.text
    caplog.clear()
    clock[0] += growth.LOOK_SECONDS + 0.1
    assert num_found(client) == 4
    assert "the store has changed" not in caplog.text


def test_a_store_that_cannot_be_read_now_is_shown_as_it_was(grown, monkeypatch):
    _, client, clock = grown
    assert num_found(client) == 2

    def fails(_):
        raise OSError("gone")

    monkeypatch.setattr(growth, "stamp_of", fails)
    clock[0] += growth.LOOK_SECONDS + 0.1
    assert num_found(client) == 2


def test_what_a_stamp_tells(grown):
    store, client, _ = grown
    stamps = [stamp_of(store)]
    assert num_found(client) == 2
    # Its flat index, which the search has made, is no news.
    assert stamp_of(store) == stamps[0]
    (feature_id,) = store.dataset("d").feature_ids()
    of_set = store.cache_folder / "indexes" / "d" / feature_id
    (of_set / "0123-hnsw").mkdir()
    stamps.append(stamp_of(store))
    (of_set / "frames").mkdir()
    (of_set / "frames" / SETTINGS).touch()
    stamps.append(stamp_of(store))
    os.utime(of_set / "frames" / SETTINGS, (1, 1))
    stamps.append(stamp_of(store))
    set_name(store.dataset("d"), "g", feature_id, "c" * 64, force=True)
    stamps.append(stamp_of(store))
    scan(store, 4)
    stamps.append(stamp_of(store))
    extract(store, 4)
    stamps.append(stamp_of(store))
    assert stamp_of(store) == stamps[-1]
    assert all(one != other for one, other in pairwise(stamps))
