"""How sure a number is: bootstrap intervals over videos, and paired comparisons.

Everything is seeded and vectorised. Resampling n videos that fall into few kinds (right or wrong,
of which class) is one draw from a multinomial, which is the same distribution as drawing n videos
with replacement and costs nothing for large n.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.metrics import harmonic_mean
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
    """Mean per-class accuracy with its 95% interval; a class a resample misses is left out.

    `is_right` is bool [video], `labels` integers [video].
    """
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


def harmonic_interval(
    base_right: np.ndarray, novel_right: np.ndarray, folds: int = FOLDS, seed: int = 0
) -> Interval:
    """Harmonic mean of two accuracies of bool [video]; base and novel videos are resampled
    independently of each other."""
    value = harmonic_mean(float(base_right.mean()), float(novel_right.mean()))
    base = resampled_means(base_right, folds, seed)
    novel = resampled_means(novel_right, folds, seed + 1)
    return interval(value, _harmonic_means(base, novel))


def clustered_mean(
    values: np.ndarray, videos: np.ndarray, folds: int = FOLDS, seed: int = 0
) -> Interval:
    """Mean of `values` [query] with its 95% interval, where queries belong to videos [query].

    Whole videos are drawn, with all of their queries: captions of one video are no independent
    queries, and drawn one by one they would make intervals that are too narrow.
    """
    values = np.asarray(values, np.float64)
    _, videos = np.unique(videos, return_inverse=True)
    sums, counts = np.bincount(videos, values), np.bincount(videos)
    samples = _of_drawn(len(counts), folds, seed, lambda drawn: drawn @ sums / (drawn @ counts))
    return interval(float(values.mean()), samples)


def clustered_median(
    values: np.ndarray, videos: np.ndarray, folds: int = FOLDS, seed: int = 0
) -> Interval:
    """Median of `values` [query], as `clustered_mean`."""
    _, videos = np.unique(videos, return_inverse=True)
    order = np.argsort(values, kind="stable")
    ascending, of_video = np.asarray(values, np.float64)[order], videos[order]

    def medians(drawn: np.ndarray) -> np.ndarray:
        passed = np.cumsum(drawn[:, of_video], axis=1)
        return np.array([_median(ascending, row) for row in passed])

    samples = _of_drawn(videos.max() + 1, folds, seed, medians, width=len(values))
    return interval(float(np.median(values)), samples)


def _median(ascending: np.ndarray, passed: np.ndarray) -> float:
    """Median of values drawn several times each; `passed` [query] counts them cumulatively."""
    middle = [(passed[-1] - 1) // 2, passed[-1] // 2]
    return float(ascending[np.searchsorted(passed, middle, side="right")].mean())


def _of_drawn(
    num_videos: int,
    folds: int,
    seed: int,
    statistic: Callable[[np.ndarray], np.ndarray],
    width: int = 0,
) -> np.ndarray:
    """`statistic` of how often each video is drawn, int64 [fold video], in chunks of folds."""
    generator = np.random.default_rng(seed)
    shares = np.full(num_videos, 1 / num_videos)
    step = max(1, _CHUNK_ELEMENTS // max(num_videos, width))
    parts = [
        statistic(generator.multinomial(num_videos, shares, min(step, folds - start)))
        for start in range(0, folds, step)
    ]
    return np.concatenate(parts)


def interval(value: float, samples: np.ndarray) -> Interval:
    """The 95% percentile interval of resampled values [fold] around `value`."""
    low, high = _ends(samples)
    return Interval(value=value, low=low, high=high)


def _ends(samples: np.ndarray) -> tuple[float, float]:
    """Ends of the 95% percentile interval of resampled values [fold]."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return float(low), float(high)


def paired_bootstrap(
    first: np.ndarray, second: np.ndarray, folds: int = PAIRED_FOLDS, seed: int = 0
) -> Comparison:
    """Compare two values per video (1 right, 0 wrong), [video] each, on the same videos.

    Videos are resampled with both their values, so what makes a video hard for both cancels. The
    two-sided p-value is twice the smaller share of resampled differences on either side of 0,
    with one added to count and folds (Davison and Hinkley 1997, section 4.2.2). Raises UsageError
    for other numbers of videos.
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
    exact = [np.mean(half, axis=1) for half in (base, novel)]
    drawn = [_resampled_pairs(half, folds, seed + at) for at, half in enumerate((base, novel))]
    value, samples = _harmonic_means(*exact), _harmonic_means(*drawn)
    return _compared(float(value[0] - value[1]), samples[:, 0] - samples[:, 1])


def _resampled_pairs(pair: tuple[np.ndarray, np.ndarray], folds: int, seed: int) -> np.ndarray:
    """Means of two values per video over resamples of the videos, float64 [fold 2]."""
    kinds, inverse = np.unique(np.stack(pair).astype(np.float64), axis=1, return_inverse=True)
    counts = resampled_counts(inverse.ravel(), kinds.shape[1], folds, seed)
    return counts @ kinds.T / len(pair[0])


def _harmonic_means(base: np.ndarray, novel: np.ndarray) -> np.ndarray:
    """Harmonic means of pairs of accuracies, [...] each; 0 where both are."""
    total = base + novel
    return np.divide(2 * base * novel, total, out=np.zeros_like(total), where=total > 0)


def _compared(difference: float, samples: np.ndarray) -> Comparison:
    low, high = _ends(samples)
    side = min(int((samples <= 0).sum()), int((samples >= 0).sum()))
    p_value = min(1.0, 2 * (side + 1) / (len(samples) + 1))
    return Comparison(difference=difference, low=low, high=high, p_value=p_value)


def _mean_per_class(counts: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts [fold class*2] of (wrong, right) -> mean over present classes of the accuracy."""
    cells = counts.reshape(-1, num_classes, 2)
    totals = cells.sum(axis=2)
    accuracy = np.divide(cells[:, :, 1], totals, out=np.zeros(totals.shape), where=totals > 0)
    return accuracy.sum(axis=1) / (totals > 0).sum(axis=1)


def _check_folds(folds: int) -> None:
    if folds < 1:
        raise UsageError(f"{folds} bootstrap folds make no interval; give at least 1")
