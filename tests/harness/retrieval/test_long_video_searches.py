"""Searches of films in stretches: the best stretch of each file, and stretches as queries."""

import numpy as np
import pytest

from harness.fusion import unit
from harness.retrieval.candidates import Candidates, per_file
from harness.retrieval.filters import TimeFilter
from harness.retrieval.search import Searcher
from tests.harness.films import QUERY, Stretch, film, write_films
from vifistore.errors import DamagedError, UnknownNameError, UsageError

# Frames once a second, in windows of four; the last one of the first film is short.
FILMS = {
    "a.mp4": [0.9, 0.9, 0.9, 0.9, 0.8, 0.8, 0.8, 0.8, 0.7, 0.7],
    "b.mp4": [0.1, 0.1, 0.1, 0.1, 0.6, 0.6, 0.6, 0.6],
    "c.mp4": [0.5, 0.4, 0.5, 0.4],
}


@pytest.fixture(scope="module")
def searcher(tmp_path_factory):
    rows = [row for path, cosines in FILMS.items() for row in film(path, cosines, 4)]
    return Searcher(write_films(tmp_path_factory.mktemp("films"), rows).store)


def test_the_best_stretch_of_each_file_unless_more_are_asked_for(searcher):
    def found(k, most):
        (hits,) = searcher.search(QUERY, k, most_per_file=most)
        assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
        return [(hit.path, hit.start_seconds) for hit in hits]

    assert found(9, 1) == [("a.mp4", 0.0), ("b.mp4", 4.0), ("c.mp4", 0.0)]
    # Three stretches of the first film are nearer than any of the second.
    assert found(2, 1) == [("a.mp4", 0.0), ("b.mp4", 4.0)]
    assert found(4, 2) == [("a.mp4", 0.0), ("a.mp4", 4.0), ("b.mp4", 4.0), ("c.mp4", 0.0)]
    assert len(found(9, 0)) == 6
    with pytest.raises(UsageError, match="give 1 or more, 0 for all"):
        searcher.search(QUERY, most_per_file=-1)


def test_whole_videos_are_counted_by_no_file(searcher):
    found = Candidates.of([(np.arange(6), np.linspace(1, 0, 6))])
    assert per_file(found, searcher.tables, 0) is found
    assert per_file(found, searcher.tables, 1).rows.tolist() == [0, 3, 5]


def frames_between(path, start, end):
    """The planted frames of a file within seconds, as they lie in the store."""
    vectors = []
    for row in film(path, FILMS[path], 4):
        for at, (seconds, cosine) in enumerate(zip(row.seconds, row.cosines, strict=True)):
            if start <= seconds < end:
                vectors.append((1 + at % 3) * np.array([cosine, np.sqrt(1 - cosine**2)]))
    return np.array(vectors, np.float16).astype(np.float32)


@pytest.mark.parametrize(
    ("text", "span", "left_out"),
    [
        ("a.mp4@3.5-5", (3.5, 5), [0, 1]),
        ("d/a.mp4@0-4", (0, 4), [0]),
        ("a.mp4@8.6-", (8.6, 99), [2]),
        ("a.mp4@4@3.5-5", (3.5, 5), [0, 1]),
    ],
)
def test_a_stretch_is_the_mean_of_its_frames(searcher, text, span, left_out):
    like = searcher.like(text)
    expected = unit(frames_between("a.mp4", *span).mean(axis=0))
    assert (like.dataset, like.rows.tolist()) == ("d", left_out)
    np.testing.assert_allclose(like.vector[:2], expected, atol=1e-4)
    (hits,) = searcher.search(like.vector, 9, without=(like.dataset, like.rows), most_per_file=0)
    assert {hit.row for hit in hits} == set(range(6)) - set(left_out)


def test_a_path_is_all_of_a_film_and_an_id_a_row_of_it(searcher):
    whole = searcher.like("a.mp4")
    assert whole.rows.tolist() == [0, 1, 2]
    expected = unit(np.mean([searcher.vector_of("d", row) for row in range(3)], axis=0))
    np.testing.assert_allclose(whole.vector, expected, atol=1e-6)
    part = searcher.like("a.mp4@4")
    assert part.rows.tolist() == [1]
    np.testing.assert_allclose(part.vector, searcher.vector_of("d", 1), atol=1e-6)


def test_all_of_a_row_is_its_own_vector(searcher):
    for row, text in enumerate(("a.mp4@0-4", "a.mp4@4-8", "a.mp4@8-10")):
        np.testing.assert_allclose(
            searcher.like(text).vector, searcher.vector_of("d", row), atol=1e-3
        )


def test_frames_of_stretches_that_overlap_count_once(tmp_path):
    rows = [
        Stretch("a.mp4", 0.0, 4.0, [0.5, 1.5, 2.5, 3.5], [0.9, 0.8, 0.2, 0.1]),
        Stretch("a.mp4", 2.0, 6.0, [2.5, 3.5, 4.5, 5.5], [0.2, 0.1, 0.5, 0.6]),
        Stretch("b.mp4", 0.0, 4.0, [0.5], [0.5]),
    ]
    features = write_films(tmp_path, rows)
    frames = features.read("frames")[:, 0].astype(np.float32)
    expected = unit(np.concatenate([frames[0, 1:], frames[1, 2:3]]).mean(axis=0))
    found = Searcher(features.store).like("a.mp4@1-5")
    np.testing.assert_allclose(found.vector, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.mp4@5-5", "give VIDEO@START-END in seconds, the end behind the start"),
        ("a.mp4@20-30", "has no embedding from 20 to 30 seconds"),
        ("a.mp4@1.6-1.9", r"the nearest is at 1.50"),
    ],
)
def test_a_stretch_with_nothing_in_it_is_refused(searcher, text, words):
    with pytest.raises(UsageError, match=words):
        searcher.like(text)


@pytest.mark.parametrize(
    "text", ["z.mp4@1-2", "a.mp4@1-2-", "a.mp4@x-2", "a.mp4@-2", "@1-2", "a.mp4@1e9-2"]
)
def test_what_is_no_stretch_is_an_unknown_video(searcher, text):
    with pytest.raises(UnknownNameError, match="unknown video"):
        searcher.like(text)


def moments_of(searcher, **settings):
    (hits,) = searcher.moments(QUERY, 20, **settings)
    return [(hit.path, hit.start_seconds, hit.end_seconds) for hit in hits]


def test_moments_within_seconds_come_from_frames_within_them(searcher):
    store = searcher.sources[0].store
    bounded = Searcher(store, times=TimeFilter(start_seconds=4.2, end_seconds=6.0))
    # Of frames at 4.5 and 5.5 seconds alone; the third film has none.
    assert moments_of(bounded) == [("a.mp4", 4.2, 6.0), ("b.mp4", 4.2, 6.0)]
    (hits,) = bounded.moments(QUERY, 20)
    assert [hit.score for hit in hits] == pytest.approx([0.8, 0.6], abs=1e-3)
    assert [hit.curve.times for hit in hits] == [(4.5, 5.5)] * 2
    nothing = Searcher(store, times=TimeFilter(start_seconds=9.7))
    assert moments_of(nothing) == []
    narrowed = searcher.narrowed(times=TimeFilter(start_seconds=4.2, end_seconds=6.0))
    assert moments_of(narrowed) == moments_of(bounded)
    without = moments_of(bounded, without=("d", np.array([0, 1, 2])))
    assert without == [("b.mp4", 4.2, 6.0)]


def test_the_best_moments_of_each_file(tmp_path):
    up_and_down = [0.9, 0.1, 0.89, 0.1, 0.88, 0.1, 0.87, 0.1, 0.86, 0.1]
    rows = [*film("a.mp4", up_and_down, 20), *film("b.mp4", [0.2, 0.1, 0.3], 20)]
    searcher = Searcher(write_films(tmp_path, rows).store)

    def found(k, most):
        (hits,) = searcher.moments(QUERY, k, most_per_file=most)
        return [(hit.path, round(hit.score, 2)) for hit in hits]

    best = [("a.mp4", 0.9), ("a.mp4", 0.89), ("a.mp4", 0.88), ("a.mp4", 0.87), ("a.mp4", 0.86)]
    assert found(2, 0) == best[:2]
    assert found(2, 1) == [("a.mp4", 0.9), ("b.mp4", 0.3)]
    assert found(9, 2) == [*best[:2], ("b.mp4", 0.3)]
    assert found(9, 0) == [*best, ("b.mp4", 0.3)]
    with pytest.raises(UsageError, match="give 1 or more, 0 for all"):
        searcher.moments(QUERY, most_per_file=-1)


def test_a_stretch_of_frames_that_are_none_is_refused(tmp_path):
    features = write_films(tmp_path, film("a.mp4", [0.9, 0.5], 4))
    folder = tmp_path / "S.zarr" / features.array_path("frames")
    (chunk,) = [path for path in folder.rglob("*") if path.is_file() and path.name != "zarr.json"]
    searcher = Searcher(features.store)
    _ = searcher.indexes
    content = bytearray(chunk.read_bytes())
    content[:16] = b"\0" * 16
    chunk.write_bytes(content)
    with pytest.raises(DamagedError, match="does not match its checksum"):
        searcher.like("a.mp4@0-1")
