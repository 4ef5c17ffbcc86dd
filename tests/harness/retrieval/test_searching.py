"""Search: the right videos in the right order, filters that are exact, and clear refusals."""

from dataclasses import replace

import numpy as np
import pytest

from harness.retrieval.hits import class_in_words, is_right
from harness.retrieval.indexing.indexes import build_index, save_index
from harness.retrieval.search import Searcher
from vifistore.errors import UnknownNameError, UsageError
from vifistore.store.names import set_name
from vifistore.store.schema import QUARANTINED


@pytest.fixture
def maker(make_store):
    maker = make_store(num_videos=30, num_classes=6, unlabelled=(7,))
    status = np.ones(30, np.uint8)
    status[13] = QUARANTINED
    maker.features(maker.frames(noise=0.3), status=status)
    return maker


def test_hits_are_the_nearest_videos_best_first(maker):
    searcher = Searcher(maker.store)
    query = maker.directions[1]
    (hits,) = searcher.search(query, 5)
    vectors = maker.store.features("toy", "tiny").read("view_mean")[:, 0]
    cosines = vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
    order = [row for row in np.argsort(-cosines) if row != 13][:5]
    assert [hit.row for hit in hits] == order
    assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5]
    assert [hit.score for hit in hits] == pytest.approx(cosines[order], abs=1e-5)
    assert list(hits[0].as_dict()) == [
        *("rank", "score", "dataset", "id", "path", "label", "start_seconds", "end_seconds")
    ]
    # Neither quarantined videos, nor more than there are; unlabelled ones are found.
    (everything,) = searcher.search(query, 1000)
    assert {hit.row for hit in everything} == set(range(30)) - {13}
    assert next(hit for hit in everything if hit.row == 7).label == ""


def test_more_like_a_video_leaves_it_out(maker):
    searcher = Searcher(maker.store)
    video = searcher.find_video("video1")
    assert video == searcher.find_video("toy/video1") == ("toy", 1)
    (hits,) = searcher.search(searcher.vector_of(*video), 3, without=video)
    assert 1 not in {hit.row for hit in hits}
    assert len(hits) == 3
    with pytest.raises(UnknownNameError, match="Did you mean 'video1'"):
        searcher.find_video("vidoe1")
    with pytest.raises(UsageError, match="has no embedding"):
        searcher.vector_of("toy", 13)


def test_filters_are_exact(maker):
    maker.split("odd", np.arange(1, 30, 2))
    by_split = Searcher(maker.store, split="odd", dataset="toy")
    (hits,) = by_split.search(maker.directions[0], 100)
    assert {hit.row for hit in hits} == set(range(1, 30, 2)) - {13}
    by_label = Searcher(maker.store, label="class 1")
    (hits,) = by_label.search(maker.directions[0], 100)
    assert {hit.label for hit in hits} == {"class 1"}
    assert {hit.row for hit in hits} == {1, 19, 25}
    with pytest.raises(UnknownNameError, match="unknown label"):
        Searcher(maker.store, label="class 9")
    with pytest.raises(UnknownNameError, match="unknown split"):
        Searcher(maker.store, split="even")


def test_a_label_of_no_video_in_the_split_is_refused(maker):
    maker.split("odd", np.arange(1, 30, 2))
    with pytest.raises(UnknownNameError, match="unknown label 'class 0'"):
        Searcher(maker.store, label="class 0", split="odd")


def test_moments_obey_the_same_filters(maker):
    searcher = Searcher(maker.store, label="class 2")
    (hits,) = searcher.moments(maker.directions[2], 50)
    assert {hit.label for hit in hits} == {"class 2"}
    assert all(hit.start_seconds <= hit.end_seconds for hit in hits)
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)


def test_what_cannot_be_searched_is_refused(maker):
    searcher = Searcher(maker.store)
    with pytest.raises(UsageError, match="k is 0; give 1 or more hits"):
        searcher.search(maker.directions[0], 0)
    with pytest.raises(UsageError, match="8 dimensions"):
        searcher.search(np.ones(8))
    with pytest.raises(UsageError, match="zero or not finite"):
        searcher.search(np.full(16, np.nan))
    with pytest.raises(UnknownNameError, match="unknown feature set 'tidy'"):
        Searcher(maker.store, "tidy")
    with pytest.raises(UnknownNameError, match="unknown dataset"):
        Searcher(maker.store, dataset="toys")


def test_a_set_that_checkpoints_share_is_searched_by_name(maker):
    other = maker.checkpoint("other")
    feature_id = maker.store.features("toy", "tiny").id
    set_name(maker.store.dataset("toy"), "other", feature_id, other, force=False)
    with pytest.raises(UsageError, match="other, tiny; choose one with --features"):
        Searcher(maker.store)
    assert Searcher(maker.store, "other").checkpoint["names"] == ["other"]
    assert Searcher(maker.store, "tiny").checkpoint["names"] == ["tiny"]
    # A video's own vector needs no text tower.
    by_id = Searcher(maker.store, feature_id)
    assert by_id.search(by_id.vector_of("toy", 0), 1)[0][0].row == 0
    with pytest.raises(UsageError, match="shared by several checkpoints"):
        _ = by_id.checkpoint


def test_an_approximate_index_is_searched_when_asked_for_but_not_behind_a_filter(maker):
    with pytest.raises(UsageError, match="vifi index"):
        Searcher(maker.store, kind="hnsw").search(maker.directions[0])
    features = maker.store.features("toy", "tiny")
    cache = maker.store.backend.cache_folder
    save_index(cache, features, replace(build_index(features, "hnsw"), effort=64))
    searcher = Searcher(maker.store, kind="hnsw")
    (hits,) = searcher.search(maker.directions[0], 3)
    assert hits == Searcher(maker.store).search(maker.directions[0], 3)[0]
    narrow = Searcher(maker.store, kind="hnsw", label="class 1")
    assert narrow.indexes[0].kind == "hnsw"
    (hits,) = narrow.search(maker.directions[0], 100)
    assert {hit.row for hit in hits} == {1, 19, 25}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a person playing  the Violin.", "Playing_the_violin"),
        ("playing", "playing"),
        ("displaying", ""),
        ("play the violin", ""),
    ],
)
def test_the_class_that_a_query_is_about(words, expected):
    assert class_in_words(words, ["playing", "Playing_the_violin", "..."]) == expected


def test_right_and_wrong_need_both_labels():
    assert is_right("run", "run") is True
    assert is_right("run", "jump") is False
    assert is_right("", "run") is is_right("run", "") is None


def test_a_narrowed_searcher_shares_what_was_read(maker):
    maker.split("odd", np.arange(1, 30, 2))
    whole = Searcher(maker.store, dataset="toy")
    assert whole.num_videos == 29
    for filters in ({"label": "class 1"}, {"split": "odd"}, {"split": "odd", "label": "class 3"}):
        narrow = whole.narrowed(**filters)
        assert narrow.indexes is whole.indexes
        assert narrow.tables is whole.tables
        expected = Searcher(maker.store, dataset="toy", **filters)
        query = maker.directions[0]
        assert narrow.search(query, 100) == expected.search(query, 100)
        assert narrow.moments(query, 9) == expected.moments(query, 9)
        assert narrow.num_videos == expected.num_videos < 29
    assert len(whole.search(maker.directions[0], 100)[0]) == 29
    with pytest.raises(UnknownNameError, match="unknown label"):
        whole.narrowed(label="class 9")
