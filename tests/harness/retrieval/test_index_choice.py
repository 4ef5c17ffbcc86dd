"""Which index is searched where none is asked for: by size, memory, and what was made."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest

from harness.retrieval.indexing.index_choice import choose_index
from harness.retrieval.indexing.indexes import index_folder
from harness.retrieval.search import Searcher

GIGABYTE = 10**9


def source(num_videos, *, name="big", sealed=True):
    """What is asked of a feature set: 512 dimensions, 2,048 bytes a vector."""
    return SimpleNamespace(
        num_videos=num_videos,
        view_mean=np.empty((0, 1, 512)),
        sealed={"manifest": "0123456789abcdef"} if sealed else None,
        name=name,
        id="id",
        dataset=SimpleNamespace(name="d"),
    )


@pytest.fixture
def made(tmp_path):
    """Call with kinds: indexes of these kinds are there."""

    def make(*kinds):
        for kind in kinds:
            index_folder(tmp_path, source(1), kind).mkdir(parents=True)
        return tmp_path

    return make


def test_what_is_fast_is_looked_at_exactly(made):
    cache = made("hnsw", "ivf")
    assert choose_index(cache, [source(200_000)], 64 * GIGABYTE) == ("flat", "")


@pytest.mark.parametrize(
    ("kinds", "memory", "expected"),
    [
        (("hnsw", "ivf"), 64, "hnsw"),
        # 2 GB of vectors do not fit: a few lists of them do.
        (("hnsw", "ivf"), 2, "ivf"),
        (("hnsw",), 2, "hnsw"),
        (("ivf",), 64, "ivf"),
        ((), 64, "flat"),
    ],
)
def test_what_is_large_is_searched_by_an_index_that_was_made(made, kinds, memory, expected):
    kind, reason = choose_index(made(*kinds), [source(1_000_000)], memory * GIGABYTE)
    assert kind == expected
    assert "1,000,000 vectors of 2.0 GB" in reason
    told = "vifi index S --features big --kind hnsw" if kind == "flat" else "--index flat"
    assert told in reason


def test_little_memory_asks_for_an_index_early(made):
    cache = made("ivf")
    assert choose_index(cache, [source(200_000)], GIGABYTE)[0] == "ivf"
    assert choose_index(cache, [source(100_000)], GIGABYTE)[0] == "flat"


def test_every_dataset_needs_the_index(made):
    cache = made("hnsw")
    large = [source(500_000), source(500_000, sealed=False)]
    assert choose_index(cache, large, 64 * GIGABYTE)[0] == "flat"
    assert choose_index(cache, large[:1] * 2, 64 * GIGABYTE)[0] == "hnsw"


def test_a_search_takes_it_and_says_so(make_store, monkeypatch, caplog):
    maker = make_store(num_videos=30)
    maker.features(maker.frames())
    caplog.set_level(logging.INFO, logger="vifi")
    assert repr(Searcher(maker.store, kind="auto")).endswith("flat>")
    assert not caplog.text
    monkeypatch.setattr("harness.retrieval.indexing.index_choice._EXACT_BYTES", 100)
    searcher = Searcher(maker.store, kind="auto")
    assert searcher.search(maker.directions[0], 3) == Searcher(maker.store).search(
        maker.directions[0], 3
    )
    assert "each of 30 vectors" in caplog.text
