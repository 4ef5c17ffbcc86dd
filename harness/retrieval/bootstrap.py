"""Intervals for numbers whose queries belong to videos: whole videos are drawn, with all of theirs.

Captions of one video are no independent queries; drawn one by one they would make intervals that
are too narrow.
"""

from collections.abc import Callable

import numpy as np

from harness.statistics import FOLDS, Interval, interval

_CHUNK_ELEMENTS = 4_000_000


def clustered_mean(
    values: np.ndarray, videos: np.ndarray, folds: int = FOLDS, seed: int = 0
) -> Interval:
    """Mean of `values` [query] with its 95% interval over resamples of the videos [query]."""
    values = np.asarray(values, np.float64)
    _, videos = np.unique(videos, return_inverse=True)
    sums, counts = np.bincount(videos, values), np.bincount(videos)
    samples = _resampled(len(counts), folds, seed, lambda drawn: drawn @ sums / (drawn @ counts))
    return interval(float(values.mean()), samples)


def clustered_median(
    values: np.ndarray, videos: np.ndarray, folds: int = FOLDS, seed: int = 0
) -> Interval:
    """The same for the median."""
    _, videos = np.unique(videos, return_inverse=True)
    order = np.argsort(values, kind="stable")
    ascending, of_video = np.asarray(values, np.float64)[order], videos[order]

    def medians(drawn: np.ndarray) -> np.ndarray:
        passed = np.cumsum(drawn[:, of_video], axis=1)
        return np.array([_median(ascending, row) for row in passed])

    samples = _resampled(videos.max() + 1, folds, seed, medians, width=len(values))
    return interval(float(np.median(values)), samples)


def _median(ascending: np.ndarray, passed: np.ndarray) -> float:
    """Median of values drawn several times each; `passed` [query] counts them cumulatively."""
    middle = [(passed[-1] - 1) // 2, passed[-1] // 2]
    return float(ascending[np.searchsorted(passed, middle, side="right")].mean())


def _resampled(
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
