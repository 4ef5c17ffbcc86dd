"""Every frame of a feature set compared with every query."""

import logging
import math
from collections.abc import Callable, Iterator

import numpy as np

from harness.retrieval.frame_hits import FrameHits, best_of_videos, hits_of, merged, no_hits
from harness.retrieval.frame_vectors import FrameVectors, frame_vectors
from vifistore.store.features import Features
from vifistore.store.schema import DONE, TODO

logger = logging.getLogger("vifi")

# What is kept in memory from one search to the next.
_KEPT_BYTES = 256 * 2**20

Hits = Callable[[np.ndarray, np.ndarray, np.ndarray], FrameHits]


class ExactFrames:
    """Every frame is compared; those of a small set are read once, of others for each search."""

    kind = "exact"

    def __init__(
        self, features: Features, among: np.ndarray | None = None, quicker: str = ""
    ) -> None:
        """among: bool [video], those to look at; all by default. quicker: a command that makes an
        index, told once where it is worth it.

        Raises UsageError for a feature set without frames.
        """
        shape = features.require_array("frames").shape
        self._features = features
        status = features.read_status()
        self._status = status if among is None else np.where(among, status, TODO)
        num_bytes = int((self._status == DONE).sum()) * math.prod(shape[1:]) * 4
        self._is_small = num_bytes <= _KEPT_BYTES
        self._quicker = quicker
        self._kept: list[FrameVectors] | None = None

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> FrameHits:
        """See FrameIndex. Raises DamagedError for frames that are not what was written."""
        return self._best(queries, k, allowed, hits_of)

    def nearest_videos(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None
    ) -> FrameHits:
        """See FrameIndex. Raises DamagedError for frames that are not what was written."""
        return self._best(queries, k, allowed, best_of_videos)

    def _best(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None, hits: Hits
    ) -> FrameHits:
        best = no_hits(len(queries), k)
        for frames in self._frames(allowed):
            vectors, rows, positions = frames.vectors, frames.rows, frames.positions
            if allowed is not None and not (chosen := allowed[rows]).all():
                vectors, rows, positions = vectors[chosen], rows[chosen], positions[chosen]
            best = merged(best, hits(queries @ vectors.T, rows, positions))
        return best

    def _frames(self, allowed: np.ndarray | None) -> Iterator[FrameVectors]:
        if self._is_small:
            if self._kept is None:
                self._kept = list(frame_vectors(self._features, self._status))
            yield from self._kept
            return
        if self._quicker:
            logger.info("every frame is compared; an index makes that quicker: %s", self._quicker)
            self._quicker = ""
        status = self._status if allowed is None else np.where(allowed, self._status, TODO)
        yield from frame_vectors(self._features, status)
