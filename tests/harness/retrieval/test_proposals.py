"""Which stretches rules find: by hand, and by plain restatements of what was published."""

import numpy as np
import pytest

from harness.reaching import reach
from harness.retrieval.contrasts import contrasts
from harness.retrieval.frame_runs import FrameRun, kept_apart, smoothed
from harness.retrieval.moments.proposals import PROPOSALS, propose
from harness.retrieval.moments.watersheds import _groups, watersheds
from harness.timelines import ScoreCurve
from vifistore.errors import UnknownNameError


def curve_of(cosines, times=None, stretches=None):
    times = np.arange(len(cosines)) + 0.5 if times is None else np.asarray(times, float)
    begins, ends = reach(times, stretches)
    return ScoreCurve(
        times=times,
        cosines=np.asarray([cosines], np.float32),
        rows=np.zeros(len(times), np.int64),
        begins=begins,
        ends=ends,
    )


def test_half_way_runs_reach_half_way_to_their_neighbours():
    times = [1.0, 3.0, 5.0, 7.0, 9.0]
    # Mean 0.52 and best 0.9: what is above 0.71 belongs to a moment.
    (found,) = propose("half-way", curve_of([0.1, 0.9, 0.8, 0.1, 0.7], times))
    assert found == (2.0, 6.0, pytest.approx(0.9), 1)
    (_, last) = propose("half-way", curve_of([0.1, 0.9, 0.8, 0.1, 0.9], times))
    assert last == (8.0, 10.0, pytest.approx(0.9), 4)


def test_a_moment_begins_no_earlier_than_the_video():
    (found,) = propose("half-way", curve_of([1.0, 0.0, 0.0], [0.1, 2.1, 4.1]))
    assert found == (0.0, pytest.approx(1.1), 1.0, 0)


def test_a_still_video_is_one_moment():
    (found,) = propose("half-way", curve_of([0.3] * 3, [0.5, 1.5, 2.5]))
    assert found[:2] == (0.0, 3.0)
    (alone,) = propose("half-way", curve_of([0.3], [0.5]))
    assert alone[:2] == (0.5, 0.5)


@pytest.mark.parametrize("rule", PROPOSALS)
@pytest.mark.parametrize("count", [1, 2, 3, 75])
def test_every_rule_finds_something_in_every_video(rule, count):
    still, planted = np.full(count, 0.2), np.full(count, 0.2)
    planted[count // 3 : count // 3 + max(1, count // 6)] = 0.3
    for cosines in (still, planted):
        found = propose(rule, curve_of(cosines))
        assert found
        assert all(0 <= m.start <= m.end <= count for m in found)
        assert [m.score for m in found] == sorted((m.score for m in found), reverse=True)
    best = propose(rule, curve_of(planted))[0]
    assert planted[best.peak] == 0.3


def test_a_moment_is_parted_where_no_row_lies():
    stretches = np.array([[0, 2], [0, 2], [50, 52], [50, 52]], float)
    curve = curve_of([0.9, 0.9, 0.9, 0.9], [0.5, 1.5, 50.5, 51.5], stretches)
    found = propose("half-way", curve)
    assert [moment[:2] for moment in found] == [(0.0, 2.0), (50.0, 52.0)]
    assert [moment.peak for moment in found] == [0, 2]
    joined = curve_of([0.9] * 4, [0.5, 1.5, 2.5, 3.5], np.repeat([[0.0, 2], [2, 4]], 2, axis=0))
    assert [moment[:2] for moment in propose("half-way", joined)] == [(0.0, 4.0)]


def test_a_window_scores_as_it_stands_out_of_the_rest():
    cosines = np.full(90, 0.2, np.float32)
    cosines[40:60] = 0.3
    best = contrasts(np.arange(90) + 0.5, cosines)[0]
    # Windows are multiples of ten frames; two frames before the window the mean begins to rise.
    assert (best.first, best.stop) == (37, 60)
    assert best.score == pytest.approx(0.3 - 0.2, abs=1e-6)
    # A video that is bright all over has nothing that stands out.
    assert contrasts(np.arange(90.0), np.full(90, 0.3, np.float32))[0].score == pytest.approx(0)


def test_contrasts_are_those_of_all_windows():
    generator = np.random.default_rng(0)
    cosines = generator.uniform(0, 1, 40).astype(np.float32)
    windows = [(a, a + n) for n in (4, 8, 12, 16, 20) for a in range(40 - n + 1)]
    scores = [
        cosines[a:b].mean() - np.concatenate([cosines[:a], cosines[b:]]).mean() for a, b in windows
    ]
    left, expected = sorted(range(len(windows)), key=lambda i: -scores[i]), []
    while left and len(expected) < 10:
        a, b = windows[best := left.pop(0)]
        expected.append((b, scores[best]))
        left = [i for i in left if overlap((a, b), windows[i]) <= 0.3]
    found = contrasts(np.arange(40) * 1.0, cosines)
    assert [span.stop for span in found] == [stop for stop, _ in expected]
    assert [span.score for span in found] == pytest.approx([s for _, s in expected], abs=1e-5)


def overlap(one, other):
    shared = max(0, min(one[1], other[1]) - max(one[0], other[0]))
    return shared / (one[1] - one[0] + other[1] - other[0] - shared)


def test_of_windows_that_overlap_the_best_is_kept():
    firsts, stops = np.array([0, 1, 8, 0]), np.array([10, 11, 20, 40])
    scores = np.array([0.5, 0.9, 0.4, 0.9])
    assert kept_apart(firsts, stops, scores, 0.3, 10).tolist() == [1, 3, 2]
    assert kept_apart(firsts, stops, scores, 0.3, 2).tolist() == [1, 3]
    assert kept_apart(firsts, stops, scores, 0.99, 10).tolist() == [1, 3, 0, 2]


def test_smoothing_keeps_a_level_and_the_sum():
    assert smoothed(np.full(3, 0.4)) == pytest.approx([0.4] * 3)
    peak = np.zeros(21)
    peak[10] = 1
    around = smoothed(peak)
    assert around.sum() == pytest.approx(1)
    assert around[11] / around[10] == pytest.approx(np.exp(-0.5))


def test_watersheds_are_the_published_groups():
    generator = np.random.default_rng(3)
    for count in (5, 30, 75):
        cosines = generator.normal(0.2, 0.05, count).astype(np.float32)
        found = watersheds(np.arange(count) * 2.0, cosines)
        expected = published_groups(cosines)
        assert {(span.first, span.stop) for span in found} <= set(expected)
        best = max(expected, key=lambda group: expected[group])
        assert found[0].score == pytest.approx(expected[best])
        assert all(expected[s.first, s.stop] == pytest.approx(s.score) for s in found)
        tenth = sorted(expected.values())[-min(10, len(expected))]
        assert found[-1].score == pytest.approx(tenth)


def test_groups_go_on_forwards_and_backwards():
    generator = np.random.default_rng(4)
    compared = 0
    for _ in range(60):
        above = generator.random(37) < generator.uniform(0.1, 0.9)
        expected = plain_groups(above.tolist())
        # Where a share is met exactly, rounding decides.
        if expected == plain_groups(above.tolist(), -1e-9):
            assert set(_groups(above)) == expected
            compared += 1
    assert compared > 10
    assert set(_groups(np.zeros(5, bool))) == set()


def plain_groups(above, slack=1e-9):
    """Groups of basins, by the definition: {(first, stop)}."""
    edges, groups = [False, *above, False], set()
    ups = [t for t in range(len(above)) if above[t] and not edges[t]]
    downs = [t + 1 for t in range(len(above)) if above[t] and not edges[t + 2]]
    for share in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0):
        for x, up in enumerate(ups):
            end = x
            while end + 1 < len(ups) and is_joined(above[up : ups[end + 1]], share + slack):
                end += 1
            groups.add((up, downs[end]))
        for x, down in enumerate(downs):
            begin = x
            while begin > 0 and is_joined(above[downs[begin - 1] : down], share + slack):
                begin -= 1
            groups.add((ups[begin], down))
    return groups


def is_joined(part, share):
    return part.count(False) <= share * len(part)


def published_groups(cosines):
    """Every group by the definition: {(first, stop): mean height}."""
    softmax = np.exp(cosines.astype(float) / 0.07)
    softmax /= softmax.sum()
    height = (softmax - softmax.min()) / softmax.max()
    smooth, groups = smoothed(height), set()
    for level in (0.01, 0.05, 0.1, 0.15, 0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95):
        groups |= plain_groups([bool(value > level) for value in smooth])
    return {(a, b): float(height[a:b].mean()) for a, b in groups}


def test_a_rule_of_ones_own(monkeypatch):
    monkeypatch.setitem(PROPOSALS, "all", lambda times, cosines: [FrameRun(0, len(cosines), 1.0)])
    assert propose("all", curve_of([0.1, 0.4, 0.2])) == [(0.0, 3.0, 1.0, 1)]
    with pytest.raises(UnknownNameError, match="half-way"):
        propose("none", curve_of([0.1]))
