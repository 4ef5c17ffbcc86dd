"""The frames of a feature set, found by their cosine with a query.

    index = open_frame_index(store.cache_folder, features)
    cosines, rows, positions = index.search(queries, 100)        # [query hit], best first

A hit is a frame: the row of its video, and its position there, view * T + frame. Frames that only
pad a view, and videos without embeddings, are never found.
"""

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from harness.retrieval.frame_vectors import frame_vectors
from vifistore.store.features import Features


class FrameHits(NamedTuple):
    """The nearest frames of each query, best first; where there are fewer than asked for, cosines
    are -inf, rows and positions -1."""

    cosines: np.ndarray
    """float32 [query hit]"""
    rows: np.ndarray
    """int64 [query hit]: the video of each."""
    positions: np.ndarray
    """int64 [query hit]: its place in the video, view * T + frame."""


class FrameIndex(Protocol):
    """What finds frames."""

    kind: str

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> FrameHits:
        """The k nearest frames of each query.

        queries: float32 [query dim] of unit length. allowed: bool [video], rows of the feature set
        that may be found; all by default.
        """
        ...


class ExactFrames:
    """Every frame of a feature set is compared with every query; nothing is kept."""

    kind = "exact"

    def __init__(self, features: Features) -> None:
        """Raises UsageError for a feature set without frames."""
        features.require_array("frames")
        self._features = features
        self._status = features.read_status()

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> FrameHits:
        """See FrameIndex. Raises DamagedError for frames that are not what was written."""
        status = self._status if allowed is None else np.where(allowed, self._status, 0)
        best = no_hits(len(queries), k)
        for frames in frame_vectors(self._features, status):
            cosines = queries @ frames.vectors.T
            rows = np.broadcast_to(frames.rows, cosines.shape)
            best = merged(
                best, FrameHits(cosines, rows, np.broadcast_to(frames.positions, cosines.shape))
            )
        return best


def no_hits(num_queries: int, k: int) -> FrameHits:
    """Places for k hits of each query, none of them found."""
    shape = num_queries, k
    nowhere = np.full(shape, -1, np.int64)
    return FrameHits(np.full(shape, -np.inf, np.float32), nowhere, nowhere)


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


def open_frame_index(cache_folder: Path, features: Features) -> FrameIndex:
    """What finds the frames of a feature set: every frame is compared.

    Raises UsageError for a feature set without frames.
    """
    return ExactFrames(features)
