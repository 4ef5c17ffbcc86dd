"""Processes take turns to change the tables of a dataset: its videos, splits and captions.

Who reads a table and writes it longer would else take away what another has added meanwhile. In a
bucket it is a claim that says whose turn it is: it expires, and who has lost it is refused when it
writes. On a disk it is a lock.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vifistore.files import locked
from vifistore.store.claims.block_claims import BlockClaims
from vifistore.store.claims.claiming import conditional_place
from vifistore.store.claims.claims import CLAIMS, TURN
from vifistore.store.dataset import Dataset
from vifistore.store.key_value.conditional import Conditional
from vifistore.store.key_value.durable import parallel
from vifistore.store.store import Store
from vifistore.store.zarr_format.backend import Backend
from vifistore.store.zarr_format.block_files import joined

TURNS = "turns"
_THREADS = 16


@contextlib.contextmanager
def tables_in_turn(dataset: Dataset) -> Iterator[Dataset]:
    """Wait for this process's turn to read tables of a dataset and write them again, and hold it;
    the dataset, to be written so. There need be none yet, but its store.

    Writing raises LockedError where the turn was lost: nothing then counts that readers would take
    for the new table. Raises StoreError for a bucket without conditional writes.
    """
    place = conditional_place(dataset.backend)
    if place is None:
        with contextlib.ExitStack() as held:
            folder = dataset.backend.cache_folder / "locks"
            # Where a file system has no locks, nobody waits.
            with contextlib.suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                held.enter_context(locked(folder / f"{dataset.name}.tables"))
            yield dataset
        return
    with turn_by_claim(dataset.backend, place, dataset.name) as backend:
        yield Dataset(Store(backend), dataset.name)


@contextlib.contextmanager
def turn_by_claim(
    backend: Backend, place: Conditional, dataset: str, **options: Any
) -> Iterator[Backend]:
    """Hold the turn by a claim; gives where to write. `options` are those of BlockClaims."""
    path = f"{TURNS}/{dataset}"
    if not backend.exists(folder := f"{path}/{CLAIMS}"):
        backend.make_group(folder, {})
    claims = BlockClaims(place, path, **options)

    def put(*stages: Mapping[str, Sequence]) -> None:
        for stage in stages:
            files = [(key, joined(buffers)) for key, buffers in stage.items()]
            # A table of millions of rows has a thousand files.
            shares = [dict(share) for first in range(_THREADS) if (share := files[first::_THREADS])]
            parallel(lambda share: claims.write(TURN, share), shares, _THREADS)

    with claims.turn():
        yield backend.putting(put)
