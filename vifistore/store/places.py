"""Where the files of a store lie: a folder here, an object store in `objects.py`.

A place knows keys and bytes, nothing of zarr. `put` is atomic for each file, and what it wrote
survives a power cut once it returns.
"""

import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from zarr.abc.store import Store as ZarrStore
from zarr.storage import LocalStore

from vifistore.errors import StoreError

Item = TypeVar("Item")
Result = TypeVar("Result")

# A disk commits the waiting fsyncs of many threads together; one after the other they took 5-8
# times as long.
_SYNC_THREADS = 16


class Place(Protocol):
    """Files under keys such as `videos/d/zarr.json`. Reading a missing one raises
    FileNotFoundError."""

    location: str
    """The path or URL that opens it."""
    cache_folder: Path
    """Local folder for what is safe to delete: locks, indexes, thumbnails."""
    zarr_store: ZarrStore
    """The same files, as zarr sees them."""

    def threads(self, num_bytes: int) -> int:
        """How many reads of that many bytes are worth doing at once."""

    def exists(self, key: str) -> bool:
        """Whether there is a file at `key`."""

    def folders(self, key: str) -> list[str]:
        """Names of the folders directly below `key`, in any order; none if it is not there."""

    def get(self, key: str) -> bytes:
        """All bytes of a file."""

    def tail(self, key: str, num_bytes: int) -> bytes:
        """Last bytes of a file."""

    def read_into(self, key: str, *buffers: np.ndarray) -> int:
        """Fill uint8 buffers from the start of a file on; return the number of its bytes, counted
        up to one more than the buffers hold."""

    def read_ranges(self, key: str, offsets: Sequence[int], buffers: Sequence[np.ndarray]) -> None:
        """Fill uint8 buffers of one length, each from its offset in a file on.

        Raises OSError if the file ends before."""

    def put(self, files: Mapping[str, Sequence]) -> None:
        """Write files, each given as buffers that follow one another."""

    def sync(self, keys: Iterable[str]) -> None:
        """Make files that were written through `zarr_store` as lasting as those of `put`."""


class LocalPlace:
    """A folder on a disk."""

    def __init__(self, folder: Path, *, writable: bool) -> None:
        self.folder = folder
        self.location = str(folder)
        self.cache_folder = folder.with_name(folder.name + ".cache")
        self.zarr_store: ZarrStore = LocalStore(folder, read_only=not writable)

    def threads(self, num_bytes: int) -> int:
        """See Place."""
        # Below that, threads wait for each other longer than for the disk.
        return min(4, os.cpu_count() or 1) if num_bytes >= 2**18 else 1

    def exists(self, key: str) -> bool:
        """See Place."""
        return (self.folder / key).is_file()

    def folders(self, key: str) -> list[str]:
        """See Place."""
        try:
            with os.scandir(self.folder / key) as entries:
                return [entry.name for entry in entries if entry.is_dir()]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def get(self, key: str) -> bytes:
        """See Place."""
        return (self.folder / key).read_bytes()

    def tail(self, key: str, num_bytes: int) -> bytes:
        """See Place."""
        with open(self.folder / key, "rb") as file:
            file.seek(-num_bytes, os.SEEK_END)
            return file.read()

    def read_into(self, key: str, *buffers: np.ndarray) -> int:
        """See Place."""
        num_bytes = 0
        with open(self.folder / key, "rb", buffering=0) as file:
            for buffer in (*buffers, np.empty(1, np.uint8)):
                num_bytes += _fill(file, buffer)
        return num_bytes

    def read_ranges(self, key: str, offsets: Sequence[int], buffers: Sequence[np.ndarray]) -> None:
        """See Place."""
        with open(self.folder / key, "rb", buffering=0) as file:
            for offset, buffer in zip(offsets, buffers, strict=True):
                file.seek(offset)
                if _fill(file, buffer) < len(buffer):
                    raise OSError(f"{self.folder / key} is too short")

    def put(self, files: Mapping[str, Sequence]) -> None:
        """See Place. Each file is on the disk before it takes its name, so that the name never
        stands for less than all of it."""
        paths = {self.folder / key: buffers for key, buffers in files.items()}
        for folder in {path.parent for path in paths}:
            folder.mkdir(parents=True, exist_ok=True)
        parallel(_put_file, paths.items(), _SYNC_THREADS)
        parallel(_fsync, {path.parent for path in paths}, _SYNC_THREADS)

    def sync(self, keys: Iterable[str]) -> None:
        """See Place."""
        files = [self.folder / key for key in keys]
        parallel(_fsync, {*files, *(file.parent for file in files)}, _SYNC_THREADS)


def parallel(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int
) -> list[Result]:
    """Results of `function` for each item, in order, by up to so many threads.

    The threads end with the call: a pool that outlives it would be dead after a fork.
    """
    items = list(items)
    if len(items) < 2 or threads < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(min(threads, len(items))) as pool:
        return list(pool.map(function, items))


def _fill(file, buffer: np.ndarray) -> int:
    """Read until `buffer` is full or the file ends; return how many bytes that were."""
    num_bytes = 0
    while num_bytes < len(buffer):
        got = file.readinto(buffer[num_bytes:])
        if not got:
            break
        num_bytes += got
    return num_bytes


def _put_file(item: tuple[Path, Sequence]) -> None:
    path, buffers = item
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with open(temporary, "xb") as file:
            for buffer in buffers:
                file.write(buffer)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _fsync(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise StoreError(f"{path} vanished while it was written: {error}") from error
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
