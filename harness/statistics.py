"""How sure a number is: bootstrap intervals over videos, paired comparisons, means over runs.

Everything is seeded and vectorised. Resampling n videos that fall into few kinds (right or wrong,
of which class) is one draw from a multinomial, which is the same distribution as drawing n videos
with replacement and costs nothing for large n.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vifistore.errors import UsageError

FOLDS = 1000
# A p-value cannot fall below 2 / (folds + 1), so a comparison needs more folds.
PAIRED_FOLDS = 10_000
LEVEL = 0.95

# Above this many kinds, drawing videos is cheaper than drawing counts of kinds.
_MAX_KINDS = 2048
_CHUNK_ELEMENTS = 4_000_000


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value with the ends of its 95% bootstrap interval."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How much better A did than B on the same videos."""

    difference: float
    """Mean of A minus mean of B, a fraction."""
    low: float
    high: float
    p_value: float
    """Two-sided, from the paired bootstrap."""

    def sentence(self, first: str, second: str) -> str:
        """`A beats B by 2.1 ± 0.4 points, p < 0.001`; ± is half the 95% interval."""
        half = (self.high - self.low) / 2
        p = "p < 0.001" if self.p_value < 0.001 else f"p = {self.p_value:.2g}"
        if self.p_value >= 1 - LEVEL:
            points = f"{100 * self.difference:.1f} ± {100 * half:.1f} points"
            return f"{first} and {second} do not differ clearly: {points}, {p}"
        if self.difference < 0:
            first, second = second, first
        points = f"{100 * abs(self.difference):.1f} ± {100 * half:.1f} points"
        return f"{first} beats {second} by {points}, {p}"


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Mean and standard deviation over runs (seeds or splits)."""

    mean: float
    deviation: float
    count: int
    ddof: int
    """0: population deviation, the convention of this field's tables; 1: sample deviation."""


def spread(values: Sequence[float], ddof: int = 0) -> Spread:
    """Mean and deviation of `values`, one per run; the deviation of one run with ddof 1 is NaN."""
    if not len(values):
        raise UsageError("no values to average; evaluate at least one split or seed")
    count = len(values)
    deviation = float(np.std(values, ddof=ddof)) if count > ddof else math.nan
    return Spread(mean=float(np.mean(values)), deviation=deviation, count=count, ddof=ddof)


def bootstrap_mean(values: np.ndarray, folds: int = FOLDS, seed: int = 0) -> Interval:
    """Mean of `values` [video] with its 95% percentile interval over `folds` resamples."""
    values = np.asarray(values, np.float64)
    samples = resampled_means(values, folds, seed)
    return interval(float(values.mean()), samples)


def resampled_means(values: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Means of `folds` resamples with replacement of `values` [video], float64 [fold]."""
    _check_folds(folds)
    kinds, inverse = np.unique(values, return_inverse=True)
    if len(kinds) <= _MAX_KINDS:
        counts = resampled_counts(inverse, len(kinds), folds, seed)
        return counts @ kinds / len(values)
    generator = np.random.default_rng(seed)
    means = np.empty(folds)
    step = max(1, _CHUNK_ELEMENTS // len(values))
    for start in range(0, folds, step):
        stop = min(start + step, folds)
        drawn = generator.integers(0, len(values), (stop - start, len(values)))
        means[start:stop] = values[drawn].mean(axis=1)
    return means


def resampled_counts(kinds: np.ndarray, num_kinds: int, folds: int, seed: int) -> np.ndarray:
    """How often each kind occurs in `folds` resamples of `kinds` [video], int64 [fold kind]."""
    _check_folds(folds)
    counts = np.bincount(kinds, minlength=num_kinds)
    return np.random.default_rng(seed).multinomial(len(kinds), counts / len(kinds), folds)


def bootstrap_mean_per_class(
    is_right: np.ndarray, labels: np.ndarray, folds: int = FOLDS, seed: int = 0
) -> Interval:
    """Mean per-class accuracy with its 95% interval; a class a resample misses is left out."""
    num_classes = int(labels.max()) + 1
    kinds = labels * 2 + is_right.astype(np.int64)
    counts = np.bincount(kinds, minlength=2 * num_classes)[None, :]
    drawn = resampled_counts(kinds, 2 * num_classes, folds, seed)
    value = float(_mean_per_class(counts, num_classes)[0])
    return interval(value, _mean_per_class(drawn, num_classes))


def bootstrap_shares(
    shares: np.ndarray, counts: np.ndarray, folds: int = FOLDS, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the 95% interval of many shares, each over its own `counts` videos, two [share].

    Resampling n videos of which a share p is right draws from a binomial of n and p. NaN where
    there are no videos.
    """
    _check_folds(folds)
    shares, counts = np.asarray(shares, np.float64), np.asarray(counts, np.int64)
    there = counts > 0
    drawn = np.random.default_rng(seed).binomial(
        counts[there], shares[there], (folds, int(there.sum()))
    )
    tail = (1 - LEVEL) / 2
    ends = np.full((2, len(shares)), np.nan)
    ends[:, there] = np.quantile(drawn / counts[there], [tail, 1 - tail], axis=0)
    return ends[0], ends[1]


def interval(value: float, samples: np.ndarray) -> Interval:
    """The 95% percentile interval of resampled values [fold] around `value`."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return Interval(value=value, low=float(low), high=float(high))


def paired_bootstrap(
    first: np.ndarray, second: np.ndarray, folds: int = PAIRED_FOLDS, seed: int = 0
) -> Comparison:
    """Compare two values per video (1 right, 0 wrong), [video] each, on the same videos.

    Videos are resampled with both their values, so what makes a video hard for both cancels. The
    two-sided p-value is twice the smaller share of resampled differences on either side of 0,
    with one added to count and folds (Davison and Hinkley 1997, section 4.2.2).
    """
    if np.shape(first) != np.shape(second):
        raise UsageError(
            f"{np.size(first)} and {np.size(second)} videos cannot be paired; score both feature "
            "sets on the same split"
        )
    differences = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    return _compared(float(differences.mean()), resampled_means(differences, folds, seed))


def paired_harmonic(
    base: tuple[np.ndarray, np.ndarray],
    novel: tuple[np.ndarray, np.ndarray],
    folds: int = PAIRED_FOLDS,
    seed: int = 0,
) -> Comparison:
    """Compare the harmonic means of two accuracies each: values per video of A and of B, [video],
    on the base and on the novel videos, which are resampled independently of each other."""
    exact = [np.mean(half, axis=1)[None] for half in (base, novel)]
    drawn = [_resampled_pairs(half, folds, seed + at) for at, half in enumerate((base, novel))]
    value, samples = _harmonic_difference(*exact), _harmonic_difference(*drawn)
    return _compared(float(value[0]), samples)


def _resampled_pairs(pair: tuple[np.ndarray, np.ndarray], folds: int, seed: int) -> np.ndarray:
    """Means of two values per video over resamples of the videos, float64 [fold 2]."""
    kinds, inverse = np.unique(np.stack(pair).astype(np.float64), axis=1, return_inverse=True)
    counts = resampled_counts(inverse.ravel(), kinds.shape[1], folds, seed)
    return counts @ kinds.T / len(pair[0])


def _harmonic_difference(base: np.ndarray, novel: np.ndarray) -> np.ndarray:
    """[fold 2] means of A and B -> harmonic mean of A minus that of B, [fold]."""
    total = base + novel
    means = np.divide(2 * base * novel, total, out=np.zeros_like(total), where=total > 0)
    return means[:, 0] - means[:, 1]


def _compared(difference: float, samples: np.ndarray) -> Comparison:
    ends = interval(difference, samples)
    side = min(int((samples <= 0).sum()), int((samples >= 0).sum()))
    p_value = min(1.0, 2 * (side + 1) / (len(samples) + 1))
    return Comparison(difference=ends.value, low=ends.low, high=ends.high, p_value=p_value)


def _mean_per_class(counts: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts [fold class*2] of (wrong, right) -> mean over present classes of the accuracy."""
    cells = counts.reshape(-1, num_classes, 2)
    totals = cells.sum(axis=2)
    accuracy = np.divide(cells[:, :, 1], totals, out=np.zeros(totals.shape), where=totals > 0)
    return accuracy.sum(axis=1) / (totals > 0).sum(axis=1)


def _check_folds(folds: int) -> None:
    if folds < 1:
        raise UsageError(f"{folds} bootstrap folds make no interval; give at least 1")
