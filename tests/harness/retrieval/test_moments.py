"""Moments: the best stretches of whole files, whatever rows they lie in."""

import numpy as np
import pytest

from harness.retrieval.exact_frames import ExactFrames
from harness.retrieval.hits import VideoTable
from harness.retrieval.moments.moments import find_moments, short_curve
from harness.timelines import Timelines
from tests.harness.films import QUERY, film, showing, write_films


def planted(count, start, stop, high=0.9, low=0.1):
    return [high if start <= number < stop else low for number in range(count)]


def test_a_moment_across_rows_is_one(tmp_path):
    # Rows of 4 s; the moment lies in the second, the third and the fourth.
    rows = film("a.mp4", planted(20, 6, 13), 4) + film("b.mp4", planted(20, 9, 11, 0.5), 4)
    features = write_films(tmp_path, rows)
    (found,) = find_moments(Timelines(features), QUERY[None], 5)
    assert [(m.row, m.start_seconds, m.end_seconds) for m in found] == [(1, 6, 13), (7, 9, 11)]
    assert [m.score for m in found] == pytest.approx([0.9, 0.5], abs=1e-3)
    assert found[0].curve is not None
    assert found[0].curve.times == tuple(np.arange(20) + 0.5)
    assert found[0].curve.scores == pytest.approx(planted(20, 6, 13), abs=1e-3)
    hit = VideoTable(features.dataset).hit(1, found[0])
    # It goes beyond the row that its best frame lies in.
    assert (hit.start_seconds, hit.end_seconds, hit.row) == (6, 13, 1)
    assert hit.as_dict()["curve"]["times"][:2] == (0.5, 1.5)


def test_the_best_moments_come_from_the_best_videos(make_store):
    maker = make_store(num_videos=9, num_classes=3)
    frames = maker.frames(num_frames=4, noise=0.0)
    # One frame of video 4 shows class 2.
    frames[4, 0, 2] = maker.directions[2]
    maker.features(frames)
    timelines = Timelines(maker.store.features("toy", "tiny"))
    query = (maker.directions[2] / np.linalg.norm(maker.directions[2]))[None]
    (found,) = find_moments(timelines, query, 4)
    assert {moment.row for moment in found} == {2, 4, 5, 8}
    assert [moment.score for moment in found] == pytest.approx([1.0] * 4, abs=1e-3)
    assert find_moments(Timelines(timelines.features, np.empty(0, np.int64)), query, 4) == [[]]


class Found(ExactFrames):
    """An exact index that passes for another one."""

    kind = "found"

    def nearest_videos(self, queries, k, allowed=None):
        self.asked = k
        return super().nearest_videos(queries, k, allowed)


@pytest.mark.parametrize("proposal", ["half-way", "watershed", "contrast"])
def test_an_index_finds_what_a_scan_does(tmp_path, proposal):
    generator = np.random.default_rng(0)
    rows = [
        row
        for number in range(30)
        for row in film(f"{number}.mp4", generator.uniform(-1, 1, 5 + number % 7), 3)
    ]
    features = write_films(tmp_path, rows)
    # Some rows may not be found.
    timelines = Timelines(features, np.arange(5, len(rows)))
    queries = np.stack([QUERY, -QUERY, showing(0.3)])
    index = Found(features)
    scanned = find_moments(timelines, queries, 7, proposal=proposal)
    assert find_moments(timelines, queries, 7, proposal=proposal, index=index) == scanned
    assert all(moment.row >= 5 for moments in scanned for moment in moments)
    for query, expected in zip(queries, scanned, strict=True):
        # Of one query no more files are read than may hold one of the best.
        (alone,) = find_moments(timelines, query[None], 7, proposal=proposal)
        assert [moment[:1] + moment[2:4] for moment in alone] == [
            moment[:1] + moment[2:4] for moment in expected
        ]
    everything = find_moments(timelines, queries, 1000, proposal=proposal, index=index)
    assert everything == find_moments(timelines, queries, 1000, proposal=proposal)


def test_an_index_is_asked_for_more_where_one_video_has_the_best_frames(tmp_path):
    rows = film("a.mp4", planted(200, 0, 100), 10) + film("b.mp4", [0.05] * 3, 3)
    features = write_films(tmp_path, rows)
    index = Found(features)
    (found,) = find_moments(Timelines(features), QUERY[None], 2, index=index)
    assert [moment.row for moment in found][-1] == 20
    assert index.asked == 21


def test_no_more_files_are_read_than_may_hold_one_of_the_best(tmp_path, monkeypatch):
    peaks = film("0.mp4", [0.9, 0.1] * 9, 6)
    rows = peaks + [row for n in range(1, 9) for row in film(f"{n}.mp4", planted(9, 2, 3, 0.5), 9)]
    timelines = Timelines(write_films(tmp_path, rows))
    read = []
    curves = timelines.curves

    def noted(files, queries, **options):
        read.extend(files)
        return curves(files, queries, **options)

    monkeypatch.setattr(timelines, "curves", noted)
    (found,) = find_moments(timelines, QUERY[None], 8)
    assert {moment.row for moment in found} <= {0, 1, 2}
    assert len(read) == 3
    read.clear()
    (found,) = find_moments(timelines, QUERY[None], 16)
    assert len(found) == 16
    assert len(read) == 9


def test_a_curve_of_a_long_video_is_kept_short():
    times, scores = np.arange(10_000) + 0.5, np.zeros(10_000)
    scores[1234] = 0.7
    short = short_curve(times, scores)
    assert len(short.times) == 240
    assert short.times[short.scores.index(0.7)] == 1234.5
    assert list(short.times) == sorted(short.times)
