"""Ends of a 95% interval: those of resampled values, and what can be said where all are alike.

Resampling videos that were all answered alike gives one value again and again, as if nothing else
could happen. That so many sources agree bounds how many in all could not: where each differs with a
probability of

    reach = 1 - 0.025 ** (1 / sources)

none of them does once in 40 times (Clopper and Pearson 1934, for 0 or n right answers of n). The
interval goes that share of the way to what a source could give at least and at most.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
_TAIL = (1 - LEVEL) / 2
# Means of equal values differ by rounding.
_ALIKE = 1e-12

Bounds = tuple[float, float]
SHARE: Bounds = (0.0, 1.0)
"""Least and greatest value of a share that is right."""
DIFFERENCE: Bounds = (-1.0, 1.0)
"""Those of a difference of two shares."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value with the ends of its 95% bootstrap interval."""

    value: float
    low: float | None = None
    high: float | None = None


def count_sources(num_videos: int, files: np.ndarray | None) -> int:
    """How many independent sources so many videos are of; `files` int64 [video] tells the source of
    each, None that each is its own."""
    return num_videos if files is None else len(np.unique(files))


def evened_sources(labels: np.ndarray, files: np.ndarray | None) -> int:
    """How many sources classes would have together, each as many as the one that has fewest; 2 or
    more, and no more than there are. `labels` int64 [video], `files` as of `count_sources`."""
    of_each = np.arange(len(labels)) if files is None else files
    pairs = np.unique(np.stack([labels, of_each]), axis=1)
    _, in_class = np.unique(pairs[0], return_counts=True)
    return max(2, min(count_sources(len(labels), files), len(in_class) * int(in_class.min())))


def interval(
    value: float, samples: np.ndarray, num_sources: int, bounds: Bounds | None = SHARE
) -> Interval:
    """The 95% percentile interval of resampled values [fold] around `value`.

    None of fewer than two sources, which tell nothing of others, nor where all values are alike and
    what a source could give has no `bounds`.
    """
    if num_sources < 2 or (bounds is None and are_alike(samples)):
        return Interval(value=value)
    low, high = ends_of(value, samples, num_sources, bounds or SHARE)
    return Interval(value=value, low=low, high=high)


def ends_of(
    value: float, samples: np.ndarray, num_sources: int, bounds: Bounds
) -> tuple[float, float]:
    """Ends of the interval of resampled values [fold]; of values that are all alike those of
    `unanimous_ends`, float64 [end]."""
    if are_alike(samples):
        low, high = unanimous_ends(value, num_sources, bounds)
        return float(low), float(high)
    low, high = np.quantile(samples, [_TAIL, 1 - _TAIL])
    return float(low), float(high)


def unanimous_ends(
    value: float | np.ndarray, num_sources: int | np.ndarray, bounds: Bounds = SHARE
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the interval of a value that every source gives, or of several values [...]."""
    reach = 1 - _TAIL ** (1 / np.asarray(num_sources, np.float64))
    least, most = bounds
    return value - reach * (value - least), value + reach * (most - value)


def least_p_value(differences: Sequence[np.ndarray]) -> float:
    """P-value of a sign test that every source passes which differs at all; `differences` are one
    float64 [source] or several.

    A bootstrap of few sources that differ, all to one side, tells smaller ones: as it never draws
    one to the other side.
    """
    count = sum(int((np.abs(one) > _ALIKE).sum()) for one in differences)
    return min(1.0, 2.0 ** (1 - count))


def are_alike(samples: np.ndarray) -> bool:
    """Whether resampled values [fold] are all one."""
    return float(np.ptp(samples)) <= _ALIKE
