"""Retrieval metrics: by hand, and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score

from harness.metrics import average_precisions, first_ranks, precisions_at
from harness.statistics import clustered_mean, clustered_median

SCORES = np.array([[0.9, 0.8, 0.7, 0.6], [0.1, 0.5, 0.5, 0.2], [0.3, 0.3, 0.3, 0.3]])
RELEVANT = np.array([[0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 1, 1]], bool)


def test_ranks_by_hand():
    # The second query's right item ties with a wrong one; in the third all tie, two being right.
    assert first_ranks(SCORES, RELEVANT).tolist() == [2, 2, 3]
    # A wrong item behind the right one that ties is as bad as one before it.
    assert first_ranks(SCORES[1:2, ::-1], RELEVANT[1:2, ::-1]).tolist() == [2]
    assert first_ranks(SCORES, RELEVANT, np.array([4, 3, 2, 1])).tolist() == [5, 4, 8]


def test_precisions_by_hand():
    assert precisions_at(SCORES, RELEVANT, 1).tolist() == [0, 0, 0]
    assert precisions_at(SCORES, RELEVANT, 2).tolist() == [0.5, 0.5, 0]
    assert precisions_at(SCORES, RELEVANT, 4).tolist() == [0.5, 0.25, 0.5]


def test_average_precision_by_hand():
    # Right at ranks 2 and 4: (1/2 + 2/4) / 2. Tied scores count as one threshold.
    np.testing.assert_allclose(average_precisions(SCORES, RELEVANT), [0.5, 0.5, 0.5])


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_average_precision_is_scikit_learns(data):
    num_items = data.draw(st.integers(1, 30))
    # Few values, so that many scores tie.
    scores = data.draw(arrays(np.float64, num_items, elements=st.integers(0, 6).map(float)))
    relevant = data.draw(arrays(bool, num_items))
    relevant[data.draw(st.integers(0, num_items - 1))] = True
    (found,) = average_precisions(scores[None], relevant[None])
    assert found == pytest.approx(average_precision_score(relevant, scores))


def test_clustered_intervals_draw_whole_videos():
    values = np.repeat([0.0, 1.0], 50)
    alone = clustered_mean(values, np.arange(100), folds=500)
    together = clustered_mean(values, np.repeat([0, 1], 50), folds=500)
    assert alone.value == together.value == 0.5
    # Two videos are all there is to draw from: every mean can come out.
    assert (together.low, together.high) == (0.0, 1.0)
    assert 0.35 < alone.low < 0.45
    assert 0.55 < alone.high < 0.65


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.integers(1, 5))
def test_median_of_a_resample_is_numpys(values, per_video):
    videos = np.arange(len(values)) // per_video
    found = clustered_median(np.array(values), videos, folds=20, seed=3)
    assert found.value == np.median(values)
    if found.low is not None:
        assert min(values) <= found.low <= found.high <= max(values)


def test_median_of_drawn_values():
    # One video says nothing of others.
    found = clustered_median(np.array([5, 1, 4, 2]), np.zeros(4), folds=10)
    assert (found.value, found.low, found.high) == (3.0, None, None)
    # Of equal ones every resample is the sample; that another moves it, six exclude.
    five, six = (
        clustered_median(np.array([5, 1, 4, 2] * n), np.arange(4 * n) // 4, folds=10)
        for n in (5, 6)
    )
    assert (five.value, five.low, five.high) == (3.0, None, None)
    assert (six.value, six.low, six.high) == (3.0, 3.0, 3.0)
