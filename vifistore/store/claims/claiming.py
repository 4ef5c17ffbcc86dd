"""One way to have blocks of a feature set to oneself, whatever keeps the others away.

Locks do on a disk (`locked_set.py`): they end with their process. Where no lock reaches every
writer, claims do (`claimed_set.py`), by conditional writes of a bucket or of a shared disk
(`linked_files.py`): they expire, and who lost one is refused when it writes.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np

from vifistore.errors import DamagedError, UsageError, shell
from vifistore.store.claims.claimed_set import ClaimedSet
from vifistore.store.claims.claims import BY_CLAIMS, CLAIMS, OtherClaim
from vifistore.store.claims.locked_set import LockedSet
from vifistore.store.key_value.conditional import require_conditions
from vifistore.store.key_value.linked_files import LinkedFiles
from vifistore.store.key_value.object_storage import ObjectStorage
from vifistore.store.key_value.storage import LocalStorage
from vifistore.store.zarr_format.backend import Backend
from vifistore.store.zarr_format.block_files import BlockFiles

_asked: set[str] = set()
"""Object stores that this process knows to ask for conditions."""


class Claiming(Protocol):
    """What one process has of the blocks of one feature set, and how it writes them."""

    expire: bool
    """Whether what a process that was killed has becomes free in time, and not at once."""

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

    def others(self, blocks: Collection[int]) -> dict[int, OtherClaim]:
        """Of these blocks those that another process has by claims that expire; none where it has
        them as long as it lives."""
        ...

    def turn(self) -> AbstractContextManager[Backend]:
        """Wait for this process's turn to plan, seal or change the set, and hold it.

        Gives where to write in it: what loses its turn raises LockedError there.
        """
        ...

    def alone(self, num_blocks: int) -> AbstractContextManager[None]:
        """Hold all of a set of so many blocks. Raises LockedError if a process writes in it."""
        ...

    def begin(self, backend: Backend) -> None:
        """In one's turn, `backend` being that of it: have a set that is planned know by what its
        blocks are had."""
        ...

    def tidy(self) -> None:
        """Remove what stopped runs left half written, where that is known."""
        ...

    def put(self, group: Mapping[int, BlockFiles], before: Mapping[str, Sequence]) -> None:
        """Write acquired blocks; they last when it returns. Other files, by their keys, last
        `before` a block counts.

        Raises LockedError where another process took one over; then that does not count.
        """
        ...

    def put_beside(self, files: Mapping[int, tuple[str, Sequence]]) -> None:
        """Write a file, key and content, that belongs to an acquired block and is none of its
        chunks; raises as `put`."""
        ...

    def forget(self, status: Mapping[int, tuple[str, Sequence]]) -> None:
        """Have acquired blocks count as to do, of which these are the chunks of `status`."""
        ...

    def reopen(self, status: Mapping[int, tuple[str, bytes]]) -> None:
        """Have some videos of acquired blocks count as to do, until their block is written: these
        are the keys of the chunks of `status`, and what they say, uint8 [video]. All else of a
        block stays."""
        ...

    def read_status(self, start: int, stop: int) -> np.ndarray:
        """Status of rows [start, stop), uint8 [video], as it was committed; TODO where it cannot
        be read."""
        ...

    def settled_checksums(self, num_rows: int) -> dict[str, list[bytes]]:
        """Checksums of the chunks of the first `num_rows` videos, none of them to do: see
        `checksums`. Raises LockedError if a process writes one."""
        ...


def open_claims(
    backend: Backend, dataset: str, feature_id: str, *, by_claims: bool = False
) -> Claiming:
    """What a process that writes a feature set has the blocks of it by.

    On a disk these are claims only where the set was begun so, or is new and to be (`by_claims`).
    Raises StoreError for an object store without conditional writes, UsageError for claims in a
    set that was begun with locks.
    """
    place, path = backend.place, f"features/{dataset}/{feature_id}"
    if bucket := conditional_place(backend):
        return ClaimedSet(backend, bucket, path)
    assert isinstance(place, LocalStorage), "a store lies in a folder or in an object store"
    if not _is_by_claims(backend, path, by_claims):
        return LockedSet(backend, dataset, feature_id)
    return ClaimedSet(backend, LinkedFiles(place.folder, place.cache_folder / CLAIMS), path)


def conditional_place(backend: Backend) -> ObjectStorage | None:
    """The object store that a store lies in; None for a folder.

    Raises StoreError for one without conditional writes.
    """
    place = backend.place
    if not isinstance(place, ObjectStorage):
        return None
    if place.location not in _asked:
        require_conditions(place, place.location)
        _asked.add(place.location)
    return place


def _is_by_claims(backend: Backend, path: str, by_claims: bool) -> bool:
    """Whether a set on a disk is written under claims."""
    if not backend.exists(path):
        return by_claims
    try:
        is_told = backend.attributes(path).get(BY_CLAIMS) is True
    except DamagedError:
        # Told by who reads the set.
        return False
    if by_claims and not is_told:
        raise UsageError(
            f"feature set {path.rpartition('/')[2]} was begun without --claims; go on without it, "
            f"or remove the set: {shell('vifi', 'rm', backend.folder, path.partition('/')[2])}"
        )
    return is_told
