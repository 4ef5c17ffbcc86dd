"""Blocks of a feature set on a disk, kept from others by locks."""

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np

from vifistore.errors import UsageError
from vifistore.store.claims.claims import BY_CLAIMS, CLAIMS, OtherClaim
from vifistore.store.claims.status_chunks import read_status_leniently
from vifistore.store.key_value.locks import BlockLocks
from vifistore.store.leftovers import clear_leftovers
from vifistore.store.zarr_format.backend import Backend
from vifistore.store.zarr_format.block_files import BlockFiles, status_encoder
from vifistore.store.zarr_format.chunks import checksums


class LockedSet:
    """See `Claiming`."""

    expire = False

    def __init__(self, backend: Backend, dataset: str, feature_id: str) -> None:
        self._backend, self._path = backend, f"features/{dataset}/{feature_id}"
        self._locks = BlockLocks(backend.cache_folder, dataset, feature_id)

    def acquire(self, blocks: Iterable[int]) -> list[int]:
        """See Claiming."""
        return self._locks.acquire(blocks)

    def take_free(self, blocks: Iterable[int]) -> list[int]:
        """See Claiming."""
        return self._locks.take_free(blocks)

    def release(self, blocks: Iterable[int] | None = None) -> None:
        """See Claiming."""
        self._locks.release(blocks)

    def others(self, blocks: Collection[int]) -> dict[int, OtherClaim]:
        """See Claiming."""
        return {}

    @contextlib.contextmanager
    def turn(self) -> Iterator[Backend]:
        """See Claiming."""
        with self._locks.turn():
            yield self._backend

    @contextlib.contextmanager
    def alone(self, num_blocks: int) -> Iterator[None]:
        """See Claiming."""
        try:
            self._locks.acquire(range(max(1, num_blocks)))
            # Who plans or seals holds no block.
            with self._locks.turn():
                yield
        finally:
            self._locks.release()

    def begin(self, backend: Backend) -> None:
        """See Claiming."""
        if backend.attributes(self._path).get(BY_CLAIMS):
            raise UsageError(
                f"{self._path} was begun with --claims by another process just now; run the same "
                "command again"
            )
        # Of a copy of a set from elsewhere: they would not hold for what is written under locks.
        backend.place.remove(f"{self._path}/{CLAIMS}")
        self.tidy()

    def tidy(self) -> None:
        """See Claiming."""
        clear_leftovers(self._backend, self._path)

    def put(self, group: Mapping[int, BlockFiles], before: Mapping[str, Sequence]) -> None:
        """See Claiming."""
        files = [file for block in group.values() for file in block.chunks.values()]
        status = dict(block.status for block in group.values())
        self._backend.put({**dict(files), **before}, status)

    def put_beside(self, files: Mapping[int, tuple[str, Sequence]]) -> None:
        """See Claiming."""
        self._backend.put(dict(files.values()))

    def forget(self, status: Mapping[int, tuple[str, Sequence]]) -> None:
        """See Claiming."""
        self._backend.put(dict(status.values()))

    def reopen(self, status: Mapping[int, tuple[str, bytes]]) -> None:
        """See Claiming."""
        encoded = status_encoder(self._backend.own_layout(f"{self._path}/status"))
        self._backend.put({key: encoded(codes) for key, codes in status.values()})

    def read_status(self, start: int, stop: int) -> np.ndarray:
        """See Claiming."""
        return read_status_leniently(self._backend, self._path, start, stop)

    def settled_checksums(self, num_rows: int) -> dict[str, list[bytes]]:
        """See Claiming."""
        return checksums(self._backend, self._path, num_rows)
