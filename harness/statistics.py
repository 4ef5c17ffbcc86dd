"""How sure a number is: bootstrap intervals over videos, and paired comparisons.

Stretches of one file, and clips of one source, are no independent videos: where `files` int64
[video] tells the file or source of each (`Videos.files`), whole ones are drawn, with all of their
videos. Of one alone there is no interval.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from harness.metrics import harmonic_mean
from harness.resamples import check_folds, of_drawn, resampled_counts, resampled_means
from vifistore.errors import UsageError

FOLDS = 1000
# A p-value cannot fall below 2 / (folds + 1), so a comparison needs more folds.
PAIRED_FOLDS = 10_000
LEVEL = 0.95


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
        """`A beats B by 2.1 [1.7, 2.5] points, p < 0.001`, with the 95% interval."""
        p = "p < 0.001" if self.p_value < 0.001 else f"p = {self.p_value:.2g}"
        difference, low, high = self.difference, self.low, self.high
        is_clear = self.p_value < 1 - LEVEL
        if is_clear and difference < 0:
            first, second, difference = second, first, -difference
            low, high = -high, -low
        points = f"{100 * difference:.1f} [{100 * low:.1f}, {100 * high:.1f}] points, {p}"
        if is_clear:
            return f"{first} beats {second} by {points}"
        return f"{first} and {second} do not differ clearly: {points}"


def bootstrap_mean(
    values: np.ndarray, folds: int = FOLDS, seed: int = 0, files: np.ndarray | None = None
) -> Interval:
    """Mean of `values` [video] with its 95% percentile interval over `folds` resamples."""
    values = np.asarray(values, np.float64)
    samples = resampled_means(values, folds, seed, files)
    return interval(float(values.mean()), samples, files)


def bootstrap_mean_per_class(
    is_right: np.ndarray,
    labels: np.ndarray,
    folds: int = FOLDS,
    seed: int = 0,
    files: np.ndarray | None = None,
) -> Interval:
    """Mean per-class accuracy with its 95% interval; a class a resample misses is left out.

    `is_right` is bool [video], `labels` integers [video].
    """
    num_classes = int(labels.max()) + 1
    kinds = labels * 2 + is_right.astype(np.int64)
    counts = np.bincount(kinds, minlength=2 * num_classes)[None, :]
    drawn = resampled_counts(kinds, 2 * num_classes, folds, seed, files)
    value = float(_mean_per_class(counts, num_classes)[0])
    return interval(value, _mean_per_class(drawn, num_classes), files)


def bootstrap_shares(
    shares: np.ndarray, counts: np.ndarray, folds: int = FOLDS, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the 95% interval of many shares, each over its own `counts` videos, two [share].

    Resampling n videos of which a share p is right draws from a binomial of n and p. NaN where
    there are no videos.
    """
    check_folds(folds)
    shares, counts = np.asarray(shares, np.float64), np.asarray(counts, np.int64)
    there = counts > 0
    drawn = np.random.default_rng(seed).binomial(
        counts[there], shares[there], (folds, int(there.sum()))
    )
    tail = (1 - LEVEL) / 2
    ends = np.full((2, len(shares)), np.nan)
    ends[:, there] = np.quantile(drawn / counts[there], [tail, 1 - tail], axis=0)
    return ends[0], ends[1]


def clustered_shares(
    is_right: np.ndarray,
    labels: np.ndarray,
    files: np.ndarray,
    num_classes: int,
    folds: int = FOLDS,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the 95% interval of each class's share of right videos, two float64 [class], drawn
    from the files that hold the class.

    `is_right` is bool [video], `labels` integers [video]. NaN where it has no or one file.
    """
    ends = np.full((2, num_classes), np.nan)
    for label in np.unique(labels):
        own = labels == label
        found = bootstrap_mean(is_right[own], folds, seed, files[own])
        if found.low is not None:
            ends[:, label] = found.low, found.high
    return ends[0], ends[1]


# Of base and of novel videos the file of each, int64 [video]; None where each has its own.
HalfFiles = tuple[np.ndarray | None, np.ndarray | None]


def harmonic_interval(
    base_right: np.ndarray,
    novel_right: np.ndarray,
    folds: int = FOLDS,
    seed: int = 0,
    files: HalfFiles = (None, None),
) -> Interval:
    """Harmonic mean of two accuracies of bool [video]; base and novel videos are resampled
    independently of each other."""
    value = harmonic_mean(float(base_right.mean()), float(novel_right.mean()))
    base = resampled_means(base_right, folds, seed, files[0])
    novel = resampled_means(novel_right, folds, seed + 1, files[1])
    samples = _harmonic_means(base, novel)
    is_told = not any(map(_are_of_one, files))
    return interval(value, samples) if is_told else Interval(value=value)


def clustered_mean(
    values: np.ndarray, videos: np.ndarray, folds: int = FOLDS, seed: int = 0
) -> Interval:
    """Mean of `values` [query] with its 95% interval, where queries belong to videos [query].

    Whole videos are drawn, with all of their queries: captions of one video are no independent
    queries, and drawn one by one they would make intervals that are too narrow.
    """
    return bootstrap_mean(values, folds, seed, videos)


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

    samples = of_drawn(videos.max() + 1, folds, seed, medians, width=len(values))
    return interval(float(np.median(values)), samples, videos)


def _median(ascending: np.ndarray, passed: np.ndarray) -> float:
    """Median of values drawn several times each; `passed` [query] counts them cumulatively."""
    middle = [(passed[-1] - 1) // 2, passed[-1] // 2]
    return float(ascending[np.searchsorted(passed, middle, side="right")].mean())


def interval(value: float, samples: np.ndarray, files: np.ndarray | None = None) -> Interval:
    """The 95% percentile interval of resampled values [fold] around `value`; none where all
    `files` [video] are one."""
    if _are_of_one(files):
        return Interval(value=value)
    low, high = _ends(samples)
    return Interval(value=value, low=low, high=high)


def _are_of_one(files: np.ndarray | None) -> bool:
    """Whether all videos lie in one file, which tells nothing of others."""
    return files is not None and len(files) > 0 and bool((files == files[0]).all())


def _ends(samples: np.ndarray) -> tuple[float, float]:
    """Ends of the 95% percentile interval of resampled values [fold]."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return float(low), float(high)


def paired_bootstrap(
    first: np.ndarray,
    second: np.ndarray,
    folds: int = PAIRED_FOLDS,
    seed: int = 0,
    files: np.ndarray | None = None,
) -> Comparison:
    """Compare two values per video (1 right, 0 wrong), [video] each, on the same videos.

    Videos are resampled with both their values, so what makes a video hard for both cancels. The
    two-sided p-value is twice the smaller share of resampled differences on either side of 0,
    with one added to count and folds (Davison and Hinkley 1997, section 4.2.2); of few files it is
    at least that of a sign test which they all pass. Raises UsageError for other numbers of videos.
    """
    if np.shape(first) != np.shape(second):
        raise UsageError(
            f"{np.size(first)} and {np.size(second)} videos cannot be paired; score both feature "
            "sets on the same split"
        )
    differences = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    samples = resampled_means(differences, folds, seed, files)
    return _compared(float(differences.mean()), samples, (files,))


def paired_harmonic(
    base: tuple[np.ndarray, np.ndarray],
    novel: tuple[np.ndarray, np.ndarray],
    folds: int = PAIRED_FOLDS,
    seed: int = 0,
    files: HalfFiles = (None, None),
) -> Comparison:
    """Compare the harmonic means of two accuracies each: values per video of A and of B, [video],
    on the base and on the novel videos, which are resampled independently of each other."""
    exact = [np.mean(half, axis=1) for half in (base, novel)]
    drawn = [
        _resampled_pairs(half, folds, seed + at, files[at]) for at, half in enumerate((base, novel))
    ]
    value, samples = _harmonic_means(*exact), _harmonic_means(*drawn)
    return _compared(float(value[0] - value[1]), samples[:, 0] - samples[:, 1], files)


def _resampled_pairs(
    pair: tuple[np.ndarray, np.ndarray], folds: int, seed: int, files: np.ndarray | None
) -> np.ndarray:
    """Means of two values per video over resamples of the videos, float64 [fold 2]."""
    kinds, inverse = np.unique(np.stack(pair).astype(np.float64), axis=1, return_inverse=True)
    counts = resampled_counts(inverse.ravel(), kinds.shape[1], folds, seed, files)
    return counts @ kinds.T / counts.sum(axis=1, keepdims=True)


def _harmonic_means(base: np.ndarray, novel: np.ndarray) -> np.ndarray:
    """Harmonic means of pairs of accuracies, [...] each; 0 where both are."""
    total = base + novel
    return np.divide(2 * base * novel, total, out=np.zeros_like(total), where=total > 0)


def _compared(
    difference: float, samples: np.ndarray, files: Iterable[np.ndarray | None]
) -> Comparison:
    """A difference and its resampled values [fold], of videos in these files; of one file alone
    every difference is possible."""
    told = [of_part for of_part in files if of_part is not None]
    low, high = (-1.0, 1.0) if any(map(_are_of_one, told)) else _ends(samples)
    side = min(int((samples <= 0).sum()), int((samples >= 0).sum()))
    p_value = min(1.0, 2 * (side + 1) / (len(samples) + 1))
    least = max((2.0 ** (1 - len(np.unique(of_part))) for of_part in told), default=0.0)
    return Comparison(difference=difference, low=low, high=high, p_value=max(p_value, least))


def _mean_per_class(counts: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts [fold class*2] of (wrong, right) -> mean over present classes of the accuracy."""
    cells = counts.reshape(-1, num_classes, 2)
    totals = cells.sum(axis=2)
    accuracy = np.divide(cells[:, :, 1], totals, out=np.zeros(totals.shape), where=totals > 0)
    return accuracy.sum(axis=1) / (totals > 0).sum(axis=1)
