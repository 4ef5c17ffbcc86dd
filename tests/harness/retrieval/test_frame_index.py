"""The frames of a set, found exactly: what comparing all of them finds, padding left out."""

import numpy as np
import pytest

from harness.fusion import unit
from harness.retrieval import exact_frames
from harness.retrieval import frame_vectors as reading
from harness.retrieval.frame_hits import FrameHits, merged, no_hits
from harness.retrieval.indexing.frame_index import open_frame_index
from tests.vifistore.store.padded_set import NUM_VIDEOS, counts_of, make_padded_store, padded
from vifistore.errors import DamagedError, UsageError
from vifistore.store.schema import QUARANTINED
from vifistore.store.store import open_store

QUERIES = unit(np.random.default_rng(3).normal(size=(5, 8)))


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """A set whose views have fewer frames than it holds of them."""
    store = open_store(make_padded_store(tmp_path_factory.mktemp("frames") / "S.zarr"))
    return store.features("d", "mine")


def expected_hits(queries, k, allowed=None):
    """By every frame of the padded set at once."""
    rows = np.arange(NUM_VIDEOS)
    frames = np.concatenate([padded(part)["frames"] for part in np.array_split(rows, 2)])
    counts = np.arange(4) < counts_of(rows)[..., None]
    if allowed is not None:
        counts &= allowed[:, None, None]
    places, positions = np.nonzero(counts.reshape(NUM_VIDEOS, 8))
    cosines = queries @ unit(frames.reshape(NUM_VIDEOS, 8, 8)[places, positions]).T
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(cosines, order, 1), places[order], positions[order]


@pytest.mark.parametrize("k", [1, 10, 200])
@pytest.mark.parametrize("num_bytes", [1, 2**25])
def test_the_nearest_frames_are_found_and_padding_is_not(features, k, num_bytes, monkeypatch):
    monkeypatch.setattr(reading, "READ_BYTES", num_bytes)
    cosines, rows, positions = open_frame_index(features.store.cache_folder, features).search(
        QUERIES, k
    )
    wanted = expected_hits(QUERIES, k)
    np.testing.assert_allclose(cosines, wanted[0], atol=1e-5)
    np.testing.assert_array_equal(rows, wanted[1])
    np.testing.assert_array_equal(positions, wanted[2])


def test_a_large_set_without_an_index_says_so(features, tmp_path, monkeypatch, caplog):
    """Its frames are not kept, and are found all the same."""
    monkeypatch.setattr(exact_frames, "_KEPT_BYTES", 100)
    allowed = np.arange(NUM_VIDEOS) % 3 == 1
    with caplog.at_level("INFO", logger="vifi"):
        index = open_frame_index(tmp_path, features)
        assert caplog.text == ""
        for mask in (None, allowed):
            found = index.search(QUERIES, 20, mask)
            np.testing.assert_array_equal(found.rows, expected_hits(QUERIES, 20, mask)[1])
    told = "quicker: vifi index S --dataset d --features mine --frames"
    assert caplog.text.count(told) == 1


def test_only_what_is_allowed_is_found(features):
    allowed = np.arange(NUM_VIDEOS) % 3 == 1
    found = open_frame_index(features.store.cache_folder, features).search(QUERIES, 20, allowed)
    np.testing.assert_array_equal(found.rows, expected_hits(QUERIES, 20, allowed)[1])
    nothing = open_frame_index(features.store.cache_folder, features).search(
        QUERIES, 2, np.zeros(NUM_VIDEOS, bool)
    )
    assert np.isneginf(nothing.cosines).all()
    assert (nothing.rows == -1).all()
    assert (nothing.positions == -1).all()


def test_more_hits_than_there_are_frames(features):
    total = int(counts_of(np.arange(NUM_VIDEOS)).sum())
    found = open_frame_index(features.store.cache_folder, features).search(QUERIES, total + 3)
    assert (found.rows[:, :total] >= 0).all()
    assert (found.rows[:, total:] == -1).all()
    assert np.isneginf(found.cosines[:, total:]).all()


def test_quarantined_videos_are_not_found(make_store):
    maker = make_store(num_videos=70)
    status = np.ones(70, np.uint8)
    status[[3, 65]] = QUARANTINED
    maker.features(maker.frames(num_views=2), status=status)
    features = maker.store.features("toy", "tiny")
    queries = unit(np.random.default_rng(0).normal(size=(1, 16)))
    found = open_frame_index(features.store.cache_folder, features).search(queries, 600)
    assert set(found.rows[0]) == {-1, *range(70)} - {3, 65}
    assert (found.rows >= 0).sum() == 68 * 8


def test_of_equal_cosines_the_earlier_comes_first():
    ones = np.ones((1, 3), np.float32)
    first = FrameHits(ones, np.array([[5, 5, 9]]), np.array([[1, 0, 0]]))
    found = merged(merged(no_hits(1, 4), first), FrameHits(ones[:, :1], *np.array([[[2]], [[7]]])))
    assert list(zip(*(values[0].tolist() for values in found[1:]), strict=True)) == [
        *((2, 7), (5, 0), (5, 1), (9, 0))
    ]


def test_a_frame_that_is_no_number_is_damage(make_store):
    maker = make_store(num_videos=3)
    frames = maker.frames()
    frames[1, 0, 2] = np.nan
    maker.features(frames)
    features = maker.store.features("toy", "tiny")
    with pytest.raises(DamagedError, match="a frame of row 1 is zero"):
        open_frame_index(features.store.cache_folder, features).search(QUERIES.repeat(2, 1), 1)


def test_a_set_without_frames_is_refused(features, monkeypatch):
    monkeypatch.setattr(type(features), "array", lambda self, name: None)
    with pytest.raises(UsageError, match="has no frames"):
        open_frame_index(features.store.cache_folder, features)


def test_of_each_video_its_best_frame_is_found(features):
    index = open_frame_index(features.store.cache_folder, features)
    found = index.nearest_videos(QUERIES, 12)
    cosines, rows, positions = expected_hits(QUERIES, 200)
    for query in range(len(QUERIES)):
        _, first = np.unique(rows[query], return_index=True)
        first = np.sort(first)[:12]
        np.testing.assert_array_equal(found.rows[query], rows[query][first])
        np.testing.assert_array_equal(found.positions[query], positions[query][first])
        np.testing.assert_allclose(found.cosines[query], cosines[query][first], atol=1e-5)
