import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from harness import resamples
from harness.resamples import resampled_counts, resampled_means
from harness.statistics import (
    Comparison,
    bootstrap_mean,
    bootstrap_mean_per_class,
    clustered_shares,
    harmonic_interval,
    paired_bootstrap,
    paired_harmonic,
)
from vifistore.errors import UsageError


def test_interval_of_an_accuracy_is_the_normal_one():
    right = np.arange(2000) < 1400
    found = bootstrap_mean(right, folds=4000)
    # 1.96 sqrt(.7 x .3 / 2000) = .0201
    assert found.value == 0.7
    assert found.low == pytest.approx(0.7 - 0.0201, abs=0.002)
    assert found.high == pytest.approx(0.7 + 0.0201, abs=0.002)


def test_interval_covers_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(0)
    samples = generator.random((200, 150)) < 0.6
    found = [bootstrap_mean(sample, seed=seed) for seed, sample in enumerate(samples)]
    share = np.mean([interval.low <= 0.6 <= interval.high for interval in found])
    assert 0.88 <= share <= 0.99


def test_counts_of_kinds_and_drawn_videos_agree(monkeypatch):
    values = np.random.default_rng(1).integers(0, 5, 400).astype(float)
    by_kind = resampled_means(values, 4000, seed=0)
    monkeypatch.setattr(resamples, "_MAX_KINDS", 0)
    monkeypatch.setattr(resamples, "_CHUNK_ELEMENTS", 30_000)
    by_video = resampled_means(values, 4000, seed=0)
    assert by_kind.mean() == pytest.approx(by_video.mean(), abs=0.01)
    assert by_kind.std() == pytest.approx(by_video.std(), rel=0.06)
    # The standard error is the deviation over the root of the number of videos.
    assert by_video.std() == pytest.approx(values.std() / 20, rel=0.06)


def test_seeded_and_seed_matters():
    values = np.random.default_rng(2).random(5000)
    first = bootstrap_mean(values, seed=3)
    assert bootstrap_mean(values, seed=3) == first
    assert bootstrap_mean(values, seed=4) != first
    assert first.low < first.value < first.high


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_resampled_counts_keep_the_number_of_videos(seed):
    kinds = np.random.default_rng(seed).integers(0, 6, 50)
    counts = resampled_counts(kinds, 7, 20, seed)
    assert counts.shape == (20, 7)
    assert (counts.sum(axis=1) == 50).all()
    assert (counts[:, 6] == 0).all()


def test_mean_per_class_by_hand():
    # Class 0: 1 of 2, class 1: 2 of 2, class 2 absent, class 3: 0 of 1 -> 1.5 / 3.
    labels = np.array([0, 0, 1, 1, 3])
    right = np.array([1, 0, 1, 1, 0], bool)
    found = bootstrap_mean_per_class(right, labels)
    assert found.value == pytest.approx(0.5)
    assert 0 <= found.low <= 0.5 <= found.high <= 1


def test_balanced_classes_give_the_interval_of_the_mean():
    generator = np.random.default_rng(0)
    labels = np.arange(3000) % 3
    right = generator.random(3000) < 0.5
    plain, by_class = bootstrap_mean(right), bootstrap_mean_per_class(right, labels)
    assert by_class.value == pytest.approx(plain.value)
    assert by_class.high - by_class.low == pytest.approx(plain.high - plain.low, rel=0.15)


def test_paired_p_value_is_that_of_the_sign_test():
    # 100 videos only A has right, 70 only B, 830 the same.
    first = np.array([1] * 100 + [0] * 70 + [1] * 830)
    second = np.array([0] * 100 + [1] * 70 + [1] * 830)
    found = paired_bootstrap(first, second)
    assert found.difference == pytest.approx(0.03)
    assert found.p_value == pytest.approx(binomtest(100, 170).pvalue, abs=0.01)
    reverse = paired_bootstrap(second, first)
    assert reverse.difference == -found.difference
    assert reverse.p_value == pytest.approx(found.p_value, abs=0.005)


def test_a_p_value_is_never_smaller_than_the_folds_can_tell():
    found = paired_bootstrap(np.ones(50), np.zeros(50), folds=99)
    assert found.p_value == pytest.approx(2 / 100)


def test_pairing_is_sharper_than_two_intervals():
    generator = np.random.default_rng(0)
    second = generator.random(2000) < 0.6
    first = second | (generator.random(2000) < 0.04)
    paired = paired_bootstrap(first, second)
    alone = bootstrap_mean(first)
    assert paired.high - paired.low < 0.5 * (alone.high - alone.low)
    assert paired.p_value < 0.001


def test_no_difference_has_p_one():
    same = np.arange(50) % 2
    assert paired_bootstrap(same, same).p_value == 1
    with pytest.raises(UsageError, match="50 and 49 videos cannot be paired"):
        paired_bootstrap(same, same[1:])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.021, 0.017, 0.025, 0.0002), "A beats B by 2.1 [1.7, 2.5] points, p < 0.001"),
        ((-0.021, -0.025, -0.017, 0.012), "B beats A by 2.1 [1.7, 2.5] points, p = 0.012"),
        (
            (0.001, -0.003, 0.005, 0.62),
            "A and B do not differ clearly: 0.1 [-0.3, 0.5] points, p = 0.62",
        ),
    ],
)
def test_sentence(values, expected):
    names = ("difference", "low", "high", "p_value")
    found = Comparison(**dict(zip(names, values, strict=True)))
    assert found.sentence("A", "B") == expected


def test_an_interval_needs_resamples():
    with pytest.raises(UsageError, match="at least 1"):
        bootstrap_mean(np.ones(3), folds=0)


def test_base_and_novel_videos_are_resampled_independently():
    """Of n independent draws each, the mean of two accuracies has half the variance of one."""
    right = np.arange(400) % 2 == 0
    found = harmonic_interval(right, right, folds=2000)
    one = bootstrap_mean(right, folds=2000)
    width = (found.high - found.low) / (one.high - one.low)
    assert width == pytest.approx(np.sqrt(0.5), rel=0.08)


def test_paired_harmonic_means_are_compared_on_the_same_resamples():
    generator = np.random.default_rng(0)
    base = generator.random(300) < 0.7, generator.random(300) < 0.5
    novel = generator.random(200) < 0.4, generator.random(200) < 0.3
    found = paired_harmonic(base, novel)
    exact = [2 / (1 / b.mean() + 1 / n.mean()) for b, n in zip(base, novel, strict=True)]
    assert found.difference == pytest.approx(exact[0] - exact[1])
    drawn = []
    for _ in range(2000):
        b, n = generator.integers(0, 300, 300), generator.integers(0, 200, 200)
        means = [2 / (1 / x[b].mean() + 1 / y[n].mean()) for x, y in zip(base, novel, strict=True)]
        drawn.append(means[0] - means[1])
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.01)
    same = paired_harmonic((base[0], base[0]), (novel[0], novel[0]))
    assert (same.difference, same.p_value) == (0, 1)
    # None of the 200 novel videos differs: no more than 1 in 55 of all do.
    assert (same.low, same.high) == pytest.approx((-0.01828, 0.01828), abs=1e-5)
    none = np.zeros(9, bool)
    assert paired_harmonic((none, none), (none, none)).difference == 0


def in_files(num_files, per_file, seed=0):
    """Answers that are all alike within a file: bool [video], and the file of each."""
    right = np.random.default_rng(seed).random(num_files) < 0.6
    return np.repeat(right, per_file), np.repeat(np.arange(num_files) * 7, per_file)


def width(found):
    return found.high - found.low


def test_stretches_of_one_file_say_no_more_than_the_file():
    right, files = in_files(60, 50)
    one_each = right[::50]
    expected = bootstrap_mean(one_each, folds=4000)
    found = bootstrap_mean(right, folds=4000, files=files)
    assert found.value == pytest.approx(expected.value)
    assert width(found) == pytest.approx(width(expected), rel=0.1)
    assert width(bootstrap_mean(right)) < 0.2 * width(found)

    labels = np.repeat(np.arange(60) % 3, 50)
    by_class = bootstrap_mean_per_class(right, labels, folds=2000, files=files)
    of_one_each = bootstrap_mean_per_class(one_each, labels[::50], folds=2000)
    assert by_class.value == pytest.approx(of_one_each.value)
    assert width(by_class) == pytest.approx(width(of_one_each), rel=0.15)


def test_classes_in_files_by_hand():
    right = np.array([1, 1, 0, 0, 1, 1], bool)
    labels = np.array([0, 0, 0, 0, 2, 2])
    low, high = clustered_shares(right, labels, np.array([0, 0, 1, 1, 2, 2]), 3)
    # Both files of class 0, one of class 2, none of class 1.
    np.testing.assert_array_equal(low, [0, np.nan, np.nan])
    np.testing.assert_array_equal(high, [1, np.nan, np.nan])


def test_one_file_has_no_interval():
    right, files = np.arange(30) % 2, np.full(30, 4)
    assert bootstrap_mean(right, files=files).low is None
    assert bootstrap_mean_per_class(right, right, files=files).high is None
    assert harmonic_interval(right, right, files=(None, files)).low is None
    found = paired_bootstrap(right, np.zeros(30), files=files)
    assert (found.low, found.high, found.p_value) == (-1, 1, 1)


def test_few_files_cannot_differ_clearly():
    # Ten thousand videos, all of them better, in four files: a sign test of four says 1/8.
    files = np.arange(10_000) % 4
    found = paired_bootstrap(np.ones(10_000), np.zeros(10_000), files=files)
    assert found.p_value == 0.125
    assert "do not differ clearly" in found.sentence("A", "B")


def test_files_are_paired_too():
    right, files = in_files(40, 25)
    other = np.repeat(np.random.default_rng(9).random(40) < 0.4, 25)
    found = paired_bootstrap(right, other, files=files)
    of_files = paired_bootstrap(right[::25], other[::25])
    assert found.difference == pytest.approx(of_files.difference)
    assert found.p_value == pytest.approx(of_files.p_value, abs=0.02)
    halves = (right, other), (other, right)
    both = paired_harmonic(*halves, files=(files, files))
    single = paired_harmonic(*[(one[::25], two[::25]) for one, two in halves])
    assert both.high - both.low == pytest.approx(single.high - single.low, rel=0.1)
    harmonic = harmonic_interval(right, other, 4000, files=(files, files))
    expected = harmonic_interval(right[::25], other[::25], 4000)
    assert width(harmonic) == pytest.approx(width(expected), rel=0.1)
