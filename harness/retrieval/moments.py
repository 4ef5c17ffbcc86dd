"""Moments: the stretches of videos whose frames answer a query best.

For each video, c_t is the largest cosine of its frames at time t (crops share their times). Its
moments are the runs of neighbouring times with

    c_t >= (max_t c_t + mean_t c_t) / 2

that is, nearer to the video's best frame than to its average one; a moment reaches half way to
the times before and behind it, and scores as its best frame. The k best moments of all lie in the
k videos with the best frames.
"""

import math
from collections.abc import Iterator

import numpy as np

from harness.retrieval.hits import Match
from harness.vector_reading import read_vectors
from vifistore.store.features import Features
from vifistore.store.full_frames import require_full_frames

# Of so many the cosines are half a gibibyte.
_MAX_COSINES = 2**27


def find_moments(
    features: Features, rows: np.ndarray, queries: np.ndarray, k: int
) -> list[list[Match]]:
    """The k best moments of each query in the videos `rows`, best first.

    queries: float32 [query dim] of unit length. Every cached frame is compared; the frames are read
    again for every so many queries that their cosines fill half a gibibyte. Raises UsageError for a
    feature set without frames, or with some that only pad a view.
    """
    views_and_frames = features.require_array("frames").shape[1:3]
    features.require_array("timestamps")
    require_full_frames(features, "search whole videos: leave out --frames")
    num_frames = max(len(rows), 1) * math.prod(views_and_frames)
    step = max(1, _MAX_COSINES // num_frames)
    return [
        _best_moments(features, rows, of_query, k)
        for start in range(0, len(queries), step)
        for of_query in _cosines(features, rows, queries[start : start + step])
    ]


def _cosines(features: Features, rows: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Cosine of every cached frame with every query, float32 [query video view frame]."""
    views_and_frames = features.require_array("frames").shape[1:3]
    cosines = np.empty((len(queries), len(rows), *views_and_frames), np.float32)
    for positions, frames in read_vectors(features, "frames", rows):
        # Reading made sure that no length is zero.
        lengths = np.sqrt(np.einsum("...d,...d->...", frames, frames))[..., None]
        cosines[:, positions] = np.moveaxis(frames @ queries.T / lengths, -1, 0)
    return cosines


def _best_moments(features: Features, rows: np.ndarray, cosines: np.ndarray, k: int) -> list[Match]:
    """The k best moments by cosines [video view frame]."""
    best = cosines.max(axis=(1, 2)) if len(rows) else np.empty(0, np.float32)
    order = np.argsort(-best, kind="stable")[:k]
    seconds = features.select(rows=rows[order], arrays=("timestamps",)).arrays["timestamps"]
    moments = [
        Match(int(rows[position]), score, start, end)
        for position, times in zip(order, seconds, strict=True)
        for start, end, score in segments(times, cosines[position])
    ]
    return sorted(moments, key=lambda m: (-m.score, m.row, m.start_seconds))[:k]


def segments(seconds: np.ndarray, cosines: np.ndarray) -> Iterator[tuple[float, float, float]]:
    """Yield start, end (seconds) and best cosine of each moment of one video, in time order.

    seconds, cosines: [view frame].
    """
    times, index = np.unique(seconds.ravel(), return_inverse=True)
    values = np.full(len(times), -np.inf, np.float32)
    np.maximum.at(values, index, cosines.ravel())
    begins, ends = reach(times)
    # Rounded, the mean of equal values may lie above them.
    chosen = values >= min((values.max() + values.mean()) / 2, values.max())
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(np.int8)))
    for first, stop in edges.reshape(-1, 2):
        yield float(begins[first]), float(ends[stop - 1]), float(values[first:stop].max())


def reach(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the stretch around each time begins and ends, float64 [time]; `times` ascend, seconds.

    That is half way to its neighbours; the outer ones reach as far outwards as inwards, above 0.
    """
    half = np.diff(times).astype(np.float64) / 2 if len(times) > 1 else np.zeros(0)
    first, last = (half[:1], half[-1:]) if len(half) else (np.zeros(1), np.zeros(1))
    before, after = np.append(first, half), np.append(half, last)
    return np.maximum(times - before, 0.0), times + after
