"""Where each of millions of digests was met, in 16 bytes each.

Digests are told apart by their hashes: who is told of a place compares the digest that is there.
"""

from collections.abc import Iterable

import numpy as np

# Of a table in order; what comes one by one waits aside until it is so much.
_ASIDE = 2**16


class DigestPlaces:
    """A number for each digest, the one that was put last."""

    def __init__(self) -> None:
        self._hashes, self._places = np.empty((2, 0), np.int64)
        self._recent: dict[int, int] = {}

    def put(self, digest: str, place: int) -> None:
        """Remember the place of a digest."""
        self._recent[hash(digest)] = place
        if len(self._recent) >= _ASIDE:
            hashes = np.fromiter(self._recent, np.int64)
            self._add(hashes, np.fromiter(self._recent.values(), np.int64))
            self._recent = {}

    def put_all(self, parts: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        """Remember many: `hashes_of` digests, and a place each, int64 [digest]."""
        if parts := list(parts):
            self._add(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _add(self, hashes: np.ndarray, places: np.ndarray) -> None:
        hashes = np.concatenate([hashes, self._hashes])
        places = np.concatenate([places, self._places])
        # Of equal ones the first: the newest.
        self._hashes, order = np.unique(hashes, return_index=True)
        self._places = places[order]

    def find(self, digest: str) -> int | None:
        """The place of a digest, or, hardly ever, of another one; None where it was never put."""
        number = hash(digest)
        if number in self._recent:
            return self._recent[number]
        place = int(np.searchsorted(self._hashes, number))
        is_there = place < len(self._hashes) and self._hashes[place] == number
        return int(self._places[place]) if is_there else None


def hashes_of(digests: Iterable[str]) -> np.ndarray:
    """By what digests are told apart, int64 [digest]."""
    return np.fromiter(map(hash, digests), np.int64)
