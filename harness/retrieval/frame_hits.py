"""Hits among frames: the best of many, each a frame or the best frame of a video."""

from typing import NamedTuple

import numpy as np


class FrameHits(NamedTuple):
    """The nearest frames of each query, best first; where there are fewer than asked for, cosines
    are -inf, rows and positions -1."""

    cosines: np.ndarray
    """float32 [query hit]"""
    rows: np.ndarray
    """int64 [query hit]: the video of each."""
    positions: np.ndarray
    """int64 [query hit]: its place in the video, view * T + frame."""


def no_hits(num_queries: int, k: int) -> FrameHits:
    """Places for k hits of each query, none of them found."""
    shape = num_queries, k
    nowhere = np.full(shape, -1, np.int64)
    return FrameHits(np.full(shape, -np.inf, np.float32), nowhere, nowhere)


def hits_of(cosines: np.ndarray, rows: np.ndarray, positions: np.ndarray) -> FrameHits:
    """Every frame as a hit of every query, [query frame], by cosines [query frame], rows [frame]
    and positions [frame]."""
    shape = cosines.shape
    return FrameHits(cosines, np.broadcast_to(rows, shape), np.broadcast_to(positions, shape))


def best_of_videos(cosines: np.ndarray, rows: np.ndarray, positions: np.ndarray) -> FrameHits:
    """The best frame of each video as a hit of every query, [query video].

    cosines: [query frame]. rows, positions: [frame], those of a video together. Of equal cosines
    the earlier counts.
    """
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    if not len(starts):
        return hits_of(cosines, rows, positions)
    best = np.maximum.reduceat(cosines, starts, axis=1)
    is_best = cosines >= np.repeat(best, np.diff(starts, append=len(rows)), axis=1)
    numbers = np.where(is_best, np.arange(len(rows)), len(rows))
    places = np.minimum.reduceat(numbers, starts, axis=1)
    return FrameHits(best, np.broadcast_to(rows[starts], best.shape), positions[places])


def merged(best: FrameHits, more: FrameHits) -> FrameHits:
    """As many hits as `best` has places, [query hit], the best of both, `more` being [query frame].

    Of equal cosines the earlier video and position come first.
    """
    k = best.cosines.shape[1]
    if more.cosines.shape[1] > k:
        chosen = np.argpartition(-more.cosines, k - 1, axis=1)[:, :k]
        more = FrameHits(*(np.take_along_axis(values, chosen, 1) for values in more))
    both = FrameHits(*(np.concatenate(pair, axis=1) for pair in zip(best, more, strict=True)))
    order = np.lexsort((both.positions, both.rows, -both.cosines), axis=1)[:, :k]
    return FrameHits(*(np.take_along_axis(values, order, 1) for values in both))
