"""Take groups out of a store, each whole or not at all."""

import contextlib
import errno
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from vifistore.errors import DamagedError
from vifistore.store.claims.claiming import open_claims
from vifistore.store.key_value.conditional import StoreClock
from vifistore.store.key_value.durable import fsync_all
from vifistore.store.key_value.object_storage import ObjectStorage
from vifistore.store.key_value.storage import LocalStorage, Storage
from vifistore.store.zarr_format.backend import Backend
from vifistore.store.zarr_format.block_ranges import num_blocks

# In the cache folder: what was taken out of the store and is being deleted.
_REMOVED = "removed"
# What is locked by nobody and older than this no one is writing any more. An object store has no
# locks, so there it is all that is known.
_SETTLED_SECONDS = 3600.0


def remove_group(backend: Backend, path: str) -> None:
    """Remove the group at `path` with all below it.

    A folder leaves the store by a rename, so that a kill leaves it whole or gone; bytes that are
    left in the cache go with `clear_removed`. In an object store its zarr.json goes first: what a
    kill leaves then is no group any more, and `vifi gc` lists it.
    """
    place = backend.place
    if isinstance(place, LocalStorage) and _rename_away(backend, place.folder / path):
        clear_removed(backend)
        return
    # The status next, so that a set that is made anew finds no video done.
    for key in (f"{path}/zarr.json", f"{path}/status", path):
        place.remove(key)


def clear_removed(backend: Backend) -> None:
    """Delete what was taken out of the store by processes that were killed before they had."""
    # Another process may be deleting the same.
    shutil.rmtree(backend.cache_folder / _REMOVED, ignore_errors=True)


def is_fresh(backend: Backend, path: str) -> bool:
    """Whether a file was written so lately that somebody may still be at it; there may be none.

    In an object store it is that one's time that counts: this machine's may be hours ahead.
    """
    changes = [file.changed_at for file in backend.place.files(path)]
    if not changes:
        return False
    return _now(backend.place) - max(changes) < _SETTLED_SECONDS


def _now(place: Storage) -> float:
    """Seconds since 1970."""
    if not isinstance(place, ObjectStorage):
        return time.time()
    clock = StoreClock()
    clock.ask(place, "")
    return clock.now()


@contextlib.contextmanager
def locked_set(backend: Backend, path: str) -> Iterator[None]:
    """Hold all of the feature set at `path`, so that nobody writes in it.

    Raises LockedError if another process is writing in it.
    """
    _, dataset, feature_id = path.split("/")
    claims = open_claims(backend, dataset, feature_id)
    try:
        num_videos = backend.layout(f"{path}/status").shape[0]
        # A number is easily written, and each block is locked by itself.
        known = backend.attributes(f"videos/{dataset}").get("rows")
        num_videos = min(num_videos, known) if type(known) is int else 0
    except DamagedError:
        num_videos = 0
    with claims.alone(num_blocks(num_videos)):
        yield


def _rename_away(backend: Backend, folder: Path) -> bool:
    """Move a folder out of the store; False if the cache lies on another disk."""
    target = backend.cache_folder / _REMOVED / uuid.uuid4().hex
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(folder, target)
    except FileNotFoundError:
        # Gone already.
        return not folder.exists()
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False
    fsync_all({folder.parent})
    return True
