"""Metrics of moment retrieval, beside plain restatements of what the benchmarks publish."""

import numpy as np
import pytest

from harness.retrieval.moments.moment_metrics import (
    MAP_OVERLAPS,
    average_precision,
    best_overlap,
    highlight_hit,
    hull_overlaps,
    overlaps,
)

# The example of a submission in QVHighlights' documentation, and what would be right.
PREDICTED = np.array([[0, 70], [78, 146], [0, 146]], float)
SCORES = np.array([0.9986, 0.4138, 0.0444])
RIGHT = np.array([[0, 60], [80, 140], [146, 150]], float)


def test_overlaps_by_hand():
    found = overlaps(PREDICTED, RIGHT)
    np.testing.assert_allclose(found[0], [60 / 70, 0, 0])
    np.testing.assert_allclose(found[1], [0, 60 / 68, 0])
    np.testing.assert_allclose(found[2], [60 / 146, 60 / 146, 0])
    np.testing.assert_allclose(hull_overlaps(PREDICTED, RIGHT), found)
    # No time shared over no time at all is no overlap.
    assert overlaps(np.array([[3.0, 3.0]]), np.array([[3.0, 3.0]])) == 0


def test_average_precision_by_hand():
    found = dict(zip(MAP_OVERLAPS, average_precision(PREDICTED, SCORES, RIGHT), strict=True))
    # The first two are right up to 0.85, of three; at 0.86 and above the first is wrong.
    assert found[0.5] == pytest.approx(2 / 3)
    assert found[0.85] == pytest.approx(2 / 3)
    assert found[0.9] == 0
    assert tuple(found) == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    # Behind a wrong one, precision is 1/2 and then 2/3: the best at a recall or above counts.
    late = average_precision(PREDICTED[[2, 0, 1]], np.array([3.0, 2, 1]), RIGHT[:2], [0.8])
    assert late[0] == pytest.approx(2 / 3)


def plain_precision(predicted, scores, right, least):
    """Area under the interpolated curve of precision over recall, prediction by prediction."""
    ranked = sorted(zip(scores[:10], map(tuple, predicted[:10]), strict=True), key=lambda p: -p[0])
    left, recalls, precisions, hits = list(map(tuple, right)), [0.0], [0.0], 0
    for count, (_, (a, b)) in enumerate(ranked, start=1):
        shares = []
        for number, (c, d) in enumerate(left):
            shared = max(0.0, min(b, d) - max(a, c))
            shares.append((shared / (b - a + d - c - shared), -number))
        if shares and max(shares)[0] >= least:
            left.pop(-max(shares)[1])
            hits += 1
        recalls.append(hits / len(right))
        precisions.append(hits / count)
    area = 0.0
    for at in range(1, len(recalls)):
        area += (recalls[at] - recalls[at - 1]) * max(precisions[at:])
    return area


def test_average_precision_is_that_of_the_published_evaluation():
    generator = np.random.default_rng(0)
    for _ in range(200):
        starts = generator.integers(0, 70, 12) * 2.0
        predicted = np.stack([starts, starts + generator.integers(1, 40, 12) * 2.0], axis=1)
        scores = generator.permutation(12) / 12
        first = np.sort(generator.choice(75, 2 * generator.integers(1, 4), replace=False)) * 2.0
        right = first.reshape(-1, 2)
        # Some are right.
        predicted[generator.integers(0, 12, len(right))] = right + generator.integers(-1, 2, 2)
        found = average_precision(predicted, scores, right)
        expected = [plain_precision(predicted, scores, right, least) for least in MAP_OVERLAPS]
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_recall_takes_the_right_stretch_that_is_met_best():
    assert best_overlap(PREDICTED, RIGHT) == pytest.approx(60 / 70)
    assert best_overlap(PREDICTED[2:], RIGHT) == pytest.approx(60 / 146)
    assert best_overlap(PREDICTED, RIGHT[2:]) == 0
    # Of five, the second is best.
    far = np.array([[100, 110], [10, 20], [0, 5]], float)
    assert best_overlap(far, np.array([[10.0, 20.0]]), 1) == 0
    assert best_overlap(far, np.array([[10.0, 20.0]]), 5) == 1
    assert best_overlap(np.empty((0, 2)), RIGHT) == 0


def test_a_hit_is_a_clip_that_one_annotator_calls_very_good():
    saliency = {3: (3, 3, 3), 4: (1, 4, 2)}
    for best, expected in ((4, 1.0), (3, 0.0), (0, 0.0)):
        predicted = np.zeros(10)
        predicted[best] = 1
        assert highlight_hit(predicted, saliency) == expected
