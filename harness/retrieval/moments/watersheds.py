"""Moments by watershed: frames above rising levels, grouped as long as enough of a group is above.

Temporal actionness grouping of Zhao, Xiong et al., Temporal Action Detection with Structured
Segment Networks (ICCV 2017, arXiv 1704.06228), on CLIP's cosines, as the zero-shot baseline of
QVHighlights is made (Lei et al., arXiv 2107.09609):

    p_t = softmax_t(c_t / 0.07),   q_t = (p_t - min_t p_t) / max_t p_t

Basins are the runs of frames whose q_t, smoothed by a Gaussian of one frame, is above a level.
From each basin on, forwards and backwards, further basins join its group as long as no more than a
share tau of the frames up to the next one lies in none. Levels and shares are several, and a group
scores as the mean q_t of its frames.
"""

from collections.abc import Iterator

import numpy as np

from harness.retrieval.frame_runs import FrameRun, kept_apart, smoothed

_TEMPERATURE = 0.07
_LEVELS = (0.01, 0.05, 0.1, 0.15, 0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_SHARES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
# What overlaps by more is the same group, found at another level.
_MOST_OVERLAP = 0.99
_KEPT = 10


def watersheds(times: np.ndarray, cosines: np.ndarray) -> list[FrameRun]:
    """The ten best groups of one video; cosines float32 [time]. Times do not matter."""
    height = _heights(cosines)
    smooth = smoothed(height)
    found = dict.fromkeys(group for level in _LEVELS for group in _groups(smooth > level))
    if not found:
        found = {(0, len(height)): None}
    firsts, stops = np.array(list(found), np.int64).T
    sums = np.concatenate([[0.0], np.cumsum(height)])
    scores = (sums[stops] - sums[firsts]) / (stops - firsts)
    kept = kept_apart(firsts, stops, scores, _MOST_OVERLAP, _KEPT)
    return [FrameRun(int(firsts[i]), int(stops[i]), float(scores[i])) for i in kept]


def _heights(cosines: np.ndarray) -> np.ndarray:
    """q_t of the docstring above, float64 [time], from 0 to 1."""
    powers = np.exp((cosines.astype(np.float64) - cosines.max()) / _TEMPERATURE)
    # The sum of the softmax cancels in q.
    return (powers - powers.min()) / powers.max()


def _groups(is_above: np.ndarray) -> Iterator[tuple[int, int]]:
    """First and one behind the last frame of every group of basins, for all shares."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_above, [False]]).astype(np.int8)))
    firsts, stops = edges.reshape(-1, 2).T
    if not len(firsts):
        return
    outside = np.concatenate([[0], np.cumsum(~is_above)])
    for share in _SHARES:
        # Forwards: from the first frame of a basin to that of another; backwards: likewise.
        level = outside[firsts] - share * firsts
        last = _first_above(level) - 1
        yield from zip(firsts.tolist(), stops[last].tolist(), strict=True)
        level = (share * stops - outside[stops])[::-1]
        last = len(stops) - _first_above(level)[::-1]
        yield from zip(firsts[last].tolist(), stops.tolist(), strict=True)


def _first_above(level: np.ndarray) -> np.ndarray:
    """Of each value of [basin] the index of the first behind it that is larger, int64 [basin];
    their number where none is."""
    found = np.full(len(level), len(level), np.int64)
    waiting: list[int] = []
    for number, value in enumerate(level.tolist()):
        while waiting and level[waiting[-1]] < value:
            found[waiting.pop()] = number
        waiting.append(number)
    return found
