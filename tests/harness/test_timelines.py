"""Timelines: rows of one file are one video, in the order of time."""

import numpy as np
import pytest

from harness.fusion import unit
from harness.reaching import known_stretches, reach
from harness.timelines import Timelines
from tests.harness.films import QUERY, Stretch, film, showing, write_films
from vifistore.errors import DamagedError, UsageError

NAN = np.nan


def test_rows_of_a_file_are_in_the_order_of_time(tmp_path):
    a, b = film("a.mp4", [0.1] * 9, 4), film("b.mp4", [0.2] * 3, 4)
    # The table has them in any order.
    timelines = Timelines(write_films(tmp_path, [a[2], b[0], a[0], a[1]]))
    assert timelines.paths == ["a.mp4", "b.mp4"]
    assert [timelines.rows_of(0).tolist(), timelines.rows_of(1).tolist()] == [[2, 3, 0], [1]]
    assert timelines.file_of.tolist() == [0, 1, 0, 0]
    assert len(timelines) == 2
    some = Timelines(timelines.features, np.array([3, 1]))
    assert some.paths == ["b.mp4", "a.mp4"]
    assert some.file_of.tolist() == [-1, 0, -1, 1]


def test_a_curve_is_that_of_the_whole_file_without_padding(tmp_path):
    cosines = np.linspace(-0.9, 0.9, 11).round(2)
    rows = film("a.mp4", cosines, 4)[::-1] + film("b.mp4", [0.5], 4)
    timelines = Timelines(write_films(tmp_path, rows))
    (_, curve), (_, short) = timelines.curves([0, 1], QUERY[None])
    np.testing.assert_allclose(curve.times, np.arange(11) + 0.5)
    np.testing.assert_allclose(curve.cosines, cosines[None], atol=1e-3)
    assert curve.rows.tolist() == [2] * 4 + [1] * 4 + [0] * 3
    assert short.times.tolist() == [0.5]
    assert curve.times.dtype == np.float64


def test_a_time_in_two_stretches_counts_once_with_its_largest_cosine(tmp_path):
    first = Stretch("a.mp4", 0, 3, [0.5, 1.5, 2.5], [0.1, 0.2, 0.3])
    second = Stretch("a.mp4", 1, 4, [1.5, 2.5, 3.5], [0.6, -0.5, 0.1])
    timelines = Timelines(write_films(tmp_path, [first, second]))
    ((_, curve),) = timelines.curves([0], np.stack([QUERY, -QUERY]))
    assert curve.times.tolist() == [0.5, 1.5, 2.5, 3.5]
    np.testing.assert_allclose(curve.cosines[0], [0.1, 0.6, 0.3, 0.1], atol=1e-3)
    np.testing.assert_allclose(curve.cosines[1], [-0.1, -0.2, 0.5, -0.1], atol=1e-3)
    assert curve.rows.tolist() == [0, 0, 0, 1]


def test_the_best_frame_of_a_file_is_none_that_pads_it(tmp_path):
    rows = film("a.mp4", [-0.5, -0.6, -0.2], 2) + film("b.mp4", [0.1, 0.7, 0.3], 2)
    timelines = Timelines(write_films(tmp_path, rows))
    best = timelines.best(np.stack([QUERY, -QUERY]))
    np.testing.assert_allclose(best, [[-0.2, 0.7], [0.6, -0.1]], atol=1e-3)


def test_reading_in_parts_changes_nothing(tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    rows = [r for n in range(40) for r in film(f"{n}.mp4", generator.uniform(-1, 1, 3 + n % 5), 2)]
    generator.shuffle(rows)
    features = write_films(tmp_path, rows)
    queries = unit(generator.normal(size=(5, 8)))
    whole = Timelines(features)
    files = [7, 3, 3, 39, *range(40)]
    curves, best = list(whole.curves(files, queries)), whole.best(queries)
    assert [file for file, _ in curves] == list(dict.fromkeys(files))
    monkeypatch.setattr("harness.timelines.READ_BYTES", 100)
    monkeypatch.setattr("harness.vector_reading.READ_BYTES", 100)
    monkeypatch.setattr("harness.timelines._MAX_COSINES", 30)
    np.testing.assert_allclose(whole.best(queries), best, atol=1e-6)
    for (file, one), (_, other) in zip(
        whole.curves(files, lambda file: queries[file % 5, None], verify=False), curves, strict=True
    ):
        assert (one.times == other.times).all()
        assert (one.rows == other.rows).all()
        np.testing.assert_allclose(one.cosines[0], other.cosines[file % 5], atol=1e-6)
        assert best[file % 5, file] == pytest.approx(one.cosines.max(), abs=1e-6)


def test_times_that_are_none_and_sets_without_frames(tmp_path, make_store):
    broken = Stretch("a.mp4", 0, 3, [0.5, NAN], [0.1, 0.2])
    timelines = Timelines(write_films(tmp_path / "films", [broken]))
    with pytest.raises(DamagedError, match=r"timestamps of 1 videos \(first: row 0\)"):
        list(timelines.curves([0], QUERY[None]))
    maker = make_store(num_videos=3, num_classes=3)
    maker.features(maker.frames())
    features = maker.store.features("toy", "tiny")
    assert len(Timelines(features)) == 3
    (maker.store.path / features.path / "timestamps" / "zarr.json").unlink()
    with pytest.raises(UsageError, match="has no timestamps"):
        Timelines(maker.store.features("toy", "tiny"))


def test_a_frame_that_counts_must_be_one(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.harness.films.showing", lambda c, n: showing(c, n) * (c != 0))
    timelines = Timelines(write_films(tmp_path, film("a.mp4", [0.1, 0.0, 0.2], 2)))
    with pytest.raises(DamagedError, match=r"frames of 1 videos \(first: row 0\)"):
        timelines.best(QUERY[None])


def test_no_frame_reaches_into_what_no_row_holds():
    times = np.array([0.5, 1.5, 60.2, 61.2])
    stretches = np.array([[0, 2], [0, 2], [60, 62], [60, 62]], float)
    begins, ends = reach(times, stretches)
    assert begins.tolist() == pytest.approx([0, 1, 60, 60.7])
    assert ends.tolist() == pytest.approx([1, 2, 60.7, 61.7])


def test_rows_that_touch_meet_within_both():
    # Half way would be 1.8, which is none of the second row.
    begins, ends = reach(np.array([1.2, 2.4]), np.array([[0, 2], [2, 4]], float))
    assert (ends[0], begins[1]) == (2, 2)
    begins, ends = reach(np.array([1.8, 3.4]), np.array([[0, 2], [2, 4]], float))
    assert (ends[0], begins[1]) == (2, 2)
    # Rows that overlap leave half way where it is.
    begins, ends = reach(np.array([1.8, 3.4]), np.array([[0, 3], [2, 4]], float))
    assert (ends[0], begins[1]) == (2.6, 2.6)


def test_a_row_without_a_known_end_goes_on():
    columns = {
        "start_seconds": np.array([0.0, 3.0, 3.0]),
        "end_seconds": np.array([NAN, 9.0, NAN]),
        "duration_seconds": np.array([8.0, 8.0, 0.0]),
    }
    assert known_stretches(columns).tolist() == [[0, 8], [3, 9], [3, np.inf]]
