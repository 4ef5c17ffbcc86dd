"""Draws with replacement of videos, or of the files that they are stretches of, and what they hold.

Everything is seeded and vectorised. Resampling n videos that fall into few kinds (right or wrong,
of which class) is one draw from a multinomial, which is the same distribution as drawing n videos
with replacement and costs nothing for large n. With `files` int64 [video], the file of each, whole
files are drawn, with all of their videos.
"""

from collections.abc import Callable

import numpy as np

from vifistore.errors import UsageError

# Above this many kinds, drawing videos is cheaper than drawing counts of kinds.
_MAX_KINDS = 2048
_CHUNK_ELEMENTS = 4_000_000


def resampled_means(
    values: np.ndarray, folds: int, seed: int, files: np.ndarray | None = None
) -> np.ndarray:
    """Means of `folds` resamples with replacement of `values` [video], float64 [fold]."""
    check_folds(folds)
    if files is not None:
        return _means_of_drawn(np.asarray(values, np.float64), files, folds, seed)
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


def resampled_counts(
    kinds: np.ndarray, num_kinds: int, folds: int, seed: int, files: np.ndarray | None = None
) -> np.ndarray:
    """How often each kind occurs in `folds` resamples of `kinds` [video], [fold kind]."""
    check_folds(folds)
    if files is not None:
        return _counts_of_drawn(kinds, num_kinds, files, folds, seed)
    counts = np.bincount(kinds, minlength=num_kinds)
    return np.random.default_rng(seed).multinomial(len(kinds), counts / len(kinds), folds)


def _means_of_drawn(values: np.ndarray, files: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Means of `values` [video] over `folds` draws of whole files, float64 [fold]."""
    _, files = np.unique(files, return_inverse=True)
    sums, counts = np.bincount(files, values), np.bincount(files)
    return of_drawn(len(counts), folds, seed, lambda drawn: drawn @ sums / (drawn @ counts))


def _counts_of_drawn(
    kinds: np.ndarray, num_kinds: int, files: np.ndarray, folds: int, seed: int
) -> np.ndarray:
    """How often each kind occurs in draws of whole files, float64 [fold kind]."""
    _, files = np.unique(files, return_inverse=True)

    def counts(drawn: np.ndarray) -> np.ndarray:
        return np.array([np.bincount(kinds, row[files], num_kinds) for row in drawn])

    return of_drawn(int(files.max()) + 1, folds, seed, counts, width=len(kinds))


def of_drawn(
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


def check_folds(folds: int) -> None:
    """Raise UsageError for a number of resamples that makes no interval."""
    if folds < 1:
        raise UsageError(f"{folds} bootstrap folds make no interval; give at least 1")
