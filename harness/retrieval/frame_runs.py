"""Stretches of the frames of a video, and which of many that overlap are kept."""

from typing import NamedTuple

import numpy as np

# In frames: beyond it a Gaussian of one frame weighs nothing.
_RADIUS = 4


class FrameRun(NamedTuple):
    """Neighbouring frames of a video, by their numbers in the order of time."""

    first: int
    stop: int
    """One behind the last."""
    score: float


def smoothed(values: np.ndarray) -> np.ndarray:
    """`values` [time] under a Gaussian of one frame, float64 [time]; outside they are mirrored."""
    offsets = np.arange(-_RADIUS, _RADIUS + 1)
    weights = np.exp(-0.5 * offsets**2)
    padded = np.pad(values.astype(np.float64), _RADIUS, mode="symmetric")
    return np.convolve(padded, weights / weights.sum(), mode="valid")


def kept_apart(
    firsts: np.ndarray, stops: np.ndarray, scores: np.ndarray, most_overlap: float, count: int
) -> np.ndarray:
    """Which of many stretches are kept, best first, int64 [kept]: at most `count` of which no two
    overlap by more than `most_overlap`, intersection over union (non-maximum suppression).

    firsts, stops, scores: [span]. Of equal scores that which is given first wins.
    """
    left, kept = np.argsort(-scores, kind="stable"), []
    while len(left) and len(kept) < count:
        best = left[0]
        kept.append(best)
        shared = np.minimum(stops[left], stops[best]) - np.maximum(firsts[left], firsts[best])
        shared = np.maximum(shared, 0)
        union = stops[left] - firsts[left] + stops[best] - firsts[best] - shared
        left = left[1:][(shared <= most_overlap * union)[1:]]
    return np.array(kept, np.int64)
