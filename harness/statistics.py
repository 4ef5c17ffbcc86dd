"""How sure a number is: bootstrap intervals over videos, and paired comparisons.

Stretches of one file, and clips of one source, are no independent videos: where `files` int64
[video] tells the file or source of each (`Videos.files`), whole ones are drawn, with all of their
videos. Of one alone there is no interval, and of videos that were all answered alike that of
`harness/interval_ends.py`.
"""

from dataclasses import dataclass

import numpy as np

from harness.interval_ends import (
    DIFFERENCE,
    LEVEL,
    SHARE,
    Bounds,
    Interval,
    are_alike,
    count_sources,
    ends_of,
    evened_sources,
    interval,
    least_p_value,
    unanimous_ends,
)
from harness.metrics import harmonic_mean
from harness.resamples import check_folds, of_drawn, resampled_counts, resampled_means
from vifistore.errors import UsageError

FOLDS = 1000
# A p-value cannot fall below 2 / (folds + 1), so a comparison needs more folds.
PAIRED_FOLDS = 10_000
# Of fewer all lie on one side of the median of all videos once in 40 times.
_MEDIAN_SOURCES = 6


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
    values: np.ndarray,
    folds: int = FOLDS,
    seed: int = 0,
    files: np.ndarray | None = None,
    bounds: Bounds | None = SHARE,
) -> Interval:
    """Mean of `values` [video], none beyond the `bounds`, with its 95% percentile interval over
    `folds` resamples."""
    values = np.asarray(values, np.float64)
    samples = resampled_means(values, folds, seed, files)
    return interval(float(values.mean()), samples, count_sources(len(values), files), bounds)


def bootstrap_mean_per_class(
    is_right: np.ndarray,
    labels: np.ndarray,
    folds: int = FOLDS,
    seed: int = 0,
    files: np.ndarray | None = None,
) -> Interval:
    """Mean per-class accuracy with its 95% interval; a class a resample misses is left out.

    `is_right` is bool [video], `labels` integers [video]. Where all classes are answered alike,
    each counts for as many sources as the one that has fewest.
    """
    num_classes = int(labels.max()) + 1
    kinds = labels * 2 + is_right.astype(np.int64)
    counts = np.bincount(kinds, minlength=2 * num_classes)[None, :]
    drawn = resampled_counts(kinds, 2 * num_classes, folds, seed, files)
    value = float(_mean_per_class(counts, num_classes)[0])
    samples = _mean_per_class(drawn, num_classes)
    num_sources = count_sources(len(labels), files)
    if num_sources > 1 and are_alike(samples):
        num_sources = evened_sources(labels, files)
    return interval(value, samples, num_sources)


def bootstrap_shares(
    shares: np.ndarray, counts: np.ndarray, folds: int = FOLDS, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the 95% interval of many shares, each over its own `counts` videos, two [share].

    Resampling n videos of which a share p is right draws from a binomial of n and p. NaN where
    there are no videos, or one.
    """
    check_folds(folds)
    shares, counts = np.asarray(shares, np.float64), np.asarray(counts, np.int64)
    there = counts > 1
    drawn = np.random.default_rng(seed).binomial(
        counts[there], shares[there], (folds, int(there.sum()))
    )
    tail = (1 - LEVEL) / 2
    ends = np.full((2, len(shares)), np.nan)
    ends[:, there] = np.quantile(drawn / counts[there], [tail, 1 - tail], axis=0)
    same = there & ((shares == 0) | (shares == 1))
    ends[:, same] = unanimous_ends(shares[same], counts[same])
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
    means = float(base_right.mean()), float(novel_right.mean())
    base = resampled_means(base_right, folds, seed, files[0])
    novel = resampled_means(novel_right, folds, seed + 1, files[1])
    samples, value = _harmonic_means(base, novel), harmonic_mean(*means)
    sizes = len(base_right), len(novel_right)
    counts = [count_sources(*one) for one in zip(sizes, files, strict=True)]
    if min(counts) < 2 or not are_alike(samples):
        return interval(value, samples, min(counts))
    halves = zip(means, (base, novel), counts, strict=True)
    ends = [ends_of(mean, drawn, count, SHARE) for mean, drawn, count in halves]
    low, high = (harmonic_mean(*end) for end in zip(*ends, strict=True))
    return Interval(value=value, low=low, high=high)


def clustered_mean(
    values: np.ndarray,
    videos: np.ndarray,
    folds: int = FOLDS,
    seed: int = 0,
    bounds: Bounds | None = SHARE,
) -> Interval:
    """Mean of `values` [query], none beyond the `bounds`, with its 95% interval, where queries
    belong to videos [query].

    Whole videos are drawn, with all of their queries: captions of one video are no independent
    queries, and drawn one by one they would make intervals that are too narrow.
    """
    return bootstrap_mean(values, folds, seed, videos, bounds)


def clustered_median(
    values: np.ndarray, videos: np.ndarray, folds: int = FOLDS, seed: int = 0
) -> Interval:
    """Median of `values` [query], as `clustered_mean`; that of six videos or more may have an
    interval of one value, as half of all would have to differ."""
    _, videos = np.unique(videos, return_inverse=True)
    order = np.argsort(values, kind="stable")
    ascending, of_video = np.asarray(values, np.float64)[order], videos[order]

    def medians(drawn: np.ndarray) -> np.ndarray:
        passed = np.cumsum(drawn[:, of_video], axis=1)
        return np.array([_median(ascending, row) for row in passed])

    num_videos = int(videos.max()) + 1
    samples = of_drawn(num_videos, folds, seed, medians, width=len(values))
    median = float(np.median(values))
    if num_videos >= _MEDIAN_SOURCES and are_alike(samples):
        return Interval(value=median, low=median, high=median)
    return interval(median, samples, num_videos, None)


def _median(ascending: np.ndarray, passed: np.ndarray) -> float:
    """Median of values drawn several times each; `passed` [query] counts them cumulatively."""
    middle = [(passed[-1] - 1) // 2, passed[-1] // 2]
    return float(ascending[np.searchsorted(passed, middle, side="right")].mean())


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
    with one added to count and folds (Davison and Hinkley 1997, section 4.2.2), and at least that
    of a sign test which all videos, or files, pass that differ. Raises UsageError for other numbers
    of videos.
    """
    if np.shape(first) != np.shape(second):
        raise UsageError(
            f"{np.size(first)} and {np.size(second)} videos cannot be paired; score both feature "
            "sets on the same split"
        )
    differences = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    samples = resampled_means(differences, folds, seed, files)
    return _compared(float(differences.mean()), samples, [_of_sources(differences, files)])


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
    net = [
        _of_sources(np.subtract(*np.asarray(half, np.float64)), of_half)
        for half, of_half in zip((base, novel), files, strict=True)
    ]
    return _compared(float(value[0] - value[1]), samples[:, 0] - samples[:, 1], net)


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


def _of_sources(differences: np.ndarray, files: np.ndarray | None) -> np.ndarray:
    """Differences [video] summed over each file, float64 [source]."""
    if files is None:
        return differences
    return np.bincount(np.unique(files, return_inverse=True)[1], differences)


def _compared(difference: float, samples: np.ndarray, parts: list[np.ndarray]) -> Comparison:
    """A difference and its resampled values [fold], of sources that differ by so much, [source] of
    each part; of one source alone every difference is possible."""
    num_sources = min(map(len, parts))
    is_told = num_sources > 1
    low, high = ends_of(difference, samples, num_sources, DIFFERENCE) if is_told else DIFFERENCE
    side = min(int((samples <= 0).sum()), int((samples >= 0).sum()))
    p_value = min(1.0, 2 * (side + 1) / (len(samples) + 1))
    least = least_p_value(parts) if is_told else 1.0
    return Comparison(difference=difference, low=low, high=high, p_value=max(p_value, least))


def _mean_per_class(counts: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts [fold class*2] of (wrong, right) -> mean over present classes of the accuracy."""
    cells = counts.reshape(-1, num_classes, 2)
    totals = cells.sum(axis=2)
    accuracy = np.divide(cells[:, :, 1], totals, out=np.zeros(totals.shape), where=totals > 0)
    return accuracy.sum(axis=1) / (totals > 0).sum(axis=1)
