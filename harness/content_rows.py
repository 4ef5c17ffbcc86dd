"""Videos of a store by their bytes: the SHA-256 of a file leads to its row, and to its vector."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from harness.vector_reading import done_rows, video_vectors
from vifistore.store.features import Features
from vifistore.store.stretch_times import are_parts


class ContentRows:
    """The whole videos that are done, of one feature set in all datasets that have it."""

    def __init__(self, sources: Sequence[Features]) -> None:
        """`sources` as `choose_sources` gives them."""
        self._sources = list(sources)

    def __len__(self) -> int:
        """How many files there are that differ."""
        return len(self._places)

    def lacks(self, digest: str) -> bool:
        """Whether no video has these bytes, by their SHA-256 in hex."""
        return digest not in self._places

    def vectors(self, digests: Sequence[str]) -> np.ndarray:
        """The vectors of files that are there, float32 [video dim] of unit length, in this order.

        Raises DamagedError for embeddings that are zero, not finite or not what was written.
        """
        places = np.array([self._places[digest] for digest in digests], np.int64).reshape(-1, 2)
        vectors = np.empty((len(places), self._sources[0].view_mean.shape[-1]), np.float32)
        for number in np.unique(places[:, 0]):
            chosen = places[:, 0] == number
            vectors[chosen] = video_vectors(self._sources[number], places[chosen, 1])
        return vectors

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        """SHA-256 of a file -> number of its source, and its row."""
        found: dict[str, tuple[int, int]] = {}
        for number, source in enumerate(self._sources):
            rows = done_rows(source)
            # A part of a video has the digest of all of it.
            rows = rows[~are_parts(*source.dataset.stretches())[rows]]
            for digest, row in zip(source.content_digests(rows), rows, strict=True):
                # Embeddings that were imported have none.
                if digest:
                    found.setdefault(str(digest), (number, int(row)))
        return found
