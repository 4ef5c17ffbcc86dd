"""What an interval says where resampling says nothing: of few videos, and of answers all alike."""

import numpy as np
import pytest
from scipy.stats import binomtest

from harness.statistics import (
    bootstrap_mean,
    bootstrap_mean_per_class,
    bootstrap_shares,
    clustered_mean,
    clustered_shares,
    harmonic_interval,
    paired_bootstrap,
    paired_harmonic,
)


def exact(right, count):
    """Clopper and Pearson's interval, as SciPy has it."""
    found = binomtest(right, count).proportion_ci(0.95, "exact")
    return found.low, found.high


def ends(found):
    return pytest.approx((found.low, found.high))


@pytest.mark.parametrize("count", [2, 7, 1530])
@pytest.mark.parametrize("is_right", [True, False])
def test_answers_that_are_all_right_or_all_wrong_have_the_exact_interval(count, is_right):
    right, expected = np.full(count, is_right), exact(count * is_right, count)
    assert ends(bootstrap_mean(right)) == expected
    balanced = np.arange(count) // (count // 2) if count % 2 == 0 else np.zeros(count, int)
    assert ends(bootstrap_mean_per_class(right, balanced)) == expected
    low, high = bootstrap_shares(np.array([is_right, 0.5, is_right]), np.array([count, 9, 1]))
    assert (low[0], high[0]) == pytest.approx(expected)
    assert 0 < low[1] < 0.5 < high[1] < 1
    # Of one video nothing is known of others.
    assert np.isnan(low[2])
    assert np.isnan(high[2])


def test_sources_count_and_not_their_videos():
    right, files = np.ones(60, bool), np.arange(60) // 10
    uneven = np.repeat(np.arange(6), (1, 2, 3, 9, 20, 25))
    assert ends(bootstrap_mean(right, files=uneven)) == exact(6, 6)
    assert ends(bootstrap_mean(right, files=files)) == exact(6, 6)
    # Every file is right on half of its videos: as far again to either side.
    halves = bootstrap_mean(np.arange(60) % 2, files=files)
    reach = 1 - exact(6, 6)[0]
    assert ends(halves) == (0.5 - reach / 2, 0.5 + reach / 2)
    low, high = clustered_shares(right, np.zeros(60, int), files, 1)
    assert (low[0], high[0]) == pytest.approx(exact(6, 6))


def test_a_mean_over_classes_is_as_sure_as_its_smallest_class():
    labels = np.repeat([0, 1, 2], [90, 5, 40])
    assert ends(bootstrap_mean_per_class(labels >= 0, labels)) == exact(15, 15)


def test_a_class_counts_for_its_files_and_not_for_their_stretches():
    labels = np.repeat([0, 1], [10, 50])
    # All of the first class are stretches of one file: two files of one each could be as right.
    files = np.maximum(np.arange(60) - 9, 0)
    found = bootstrap_mean_per_class(np.ones(60, bool), labels, files=files)
    assert ends(found) == exact(2, 2)
    assert ends(bootstrap_mean_per_class(np.ones(60, bool), labels)) == exact(20, 20)


def test_one_video_has_no_interval():
    one = np.ones(1, bool)
    assert bootstrap_mean(one).low is None
    assert bootstrap_mean_per_class(one, np.zeros(1, int)).high is None
    assert harmonic_interval(one, np.arange(40) % 2 > 0).low is None
    found = paired_bootstrap(one, ~one)
    assert (found.difference, found.low, found.high, found.p_value) == (1, -1, 1, 1)


def test_ranks_that_are_all_one_have_no_interval():
    found = clustered_mean(np.ones(20), np.arange(20), bounds=None)
    assert (found.value, found.low) == (1, None)
    found = clustered_mean(np.arange(20), np.arange(20), bounds=None)
    assert found.high is not None
    assert 11 < found.high < 13


def test_harmonic_means_of_answers_all_alike():
    right, wrong = np.ones(30, bool), np.zeros(20, bool)
    low, other = exact(30, 30)[0], exact(20, 20)[0]
    assert ends(harmonic_interval(right, right[:20])) == (2 * low * other / (low + other), 1)
    # Of 20 that are all wrong one in six may be right.
    high = exact(0, 20)[1]
    assert ends(harmonic_interval(right, wrong)) == (0, 2 * high / (1 + high))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 9])
@pytest.mark.parametrize("others", [0, 200])
def test_few_videos_that_differ_are_no_clearer_than_a_sign_test(count, others):
    better, same = np.ones(count), np.arange(others) % 2
    first, second = np.append(better, same), np.append(0 * better, same)
    found = paired_bootstrap(first, second)
    assert found.p_value >= binomtest(count, count).pvalue
    assert paired_bootstrap(second, first).p_value == pytest.approx(found.p_value, abs=0.01)
    if count < 6:
        assert "do not differ clearly" in found.sentence("A", "B")
    half = (np.append(first, same), np.append(second, same))
    harmonic = paired_harmonic(half, (np.arange(50) % 2, np.arange(50) % 2))
    assert harmonic.p_value >= binomtest(count, count).pvalue


def test_files_that_differ_are_counted_and_not_those_that_do_not():
    files = np.arange(400) // 10
    second = files % 2
    first = np.where(files < 8, 1, second)
    # Four of forty files differ, all to one side.
    assert paired_bootstrap(first, second, files=files).p_value == pytest.approx(0.125)


def test_two_that_agree_on_all_videos_may_differ_on_others():
    same = np.arange(100) % 3 > 0
    found = paired_bootstrap(same, same)
    reach = exact(0, 100)[1]
    assert (found.difference, found.p_value) == (0, 1)
    assert ends(found) == (-reach, reach)
