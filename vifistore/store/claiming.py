"""One way to have blocks of a feature set to oneself, whatever keeps the others away.

Locks do on a disk (`locks.py`): they end with their process. Where no lock reaches every writer,
claims do (`block_claims.py`): they expire.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Protocol

from vifistore.store.backend import Backend
from vifistore.store.locks import BlockLocks


class Claiming(Protocol):
    """What one process has of the blocks of one feature set."""

    def acquire(self, blocks: Iterable[int]) -> list[int]:
        """Have blocks; return those that this process did not have before, ascending.

        Raises LockedError if another process has one of them; then none is taken.
        """
        ...

    def take_free(self, blocks: Iterable[int]) -> list[int]:
        """Have those of some blocks that nobody has, this process neither; return them,
        ascending."""
        ...

    def release(self, blocks: Iterable[int] | None = None) -> None:
        """Give up these blocks, or all; others can have them at once."""
        ...

    def turn(self) -> AbstractContextManager[None]:
        """Wait for this process's turn to plan, seal or name the set, and hold it."""
        ...


def open_claims(backend: Backend, dataset: str, feature_id: str) -> Claiming:
    """What a process that writes a feature set has the blocks of it by."""
    return BlockLocks(backend.cache_folder, dataset, feature_id)
