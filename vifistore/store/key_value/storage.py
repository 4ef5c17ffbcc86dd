"""Where the files of a store lie: a folder here, an object store in `objects.py`.

A place knows keys and bytes, nothing of zarr. `put` is atomic for each file, and what it wrote
survives a power cut once it returns.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from zarr.abc.store import Store as ZarrStore
from zarr.storage import LocalStore

from vifistore.errors import StoreError, UsageError
from vifistore.files import open_regular, open_unbuffered, read_regular, require_regular
from vifistore.store.key_value.durable import put_stages
from vifistore.temporaries import SUFFIX, alone_in, writing_in

_ROOT = "zarr.json"


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file of a store."""

    key: str
    size_bytes: int
    changed_at: float
    """Seconds since 1970."""
    version: str = ""
    """What tells its bytes from those it had before."""


class Storage(Protocol):
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
        ...

    def exists(self, key: str) -> bool:
        """Whether there is a file at `key`."""
        ...

    def folders(self, key: str) -> list[str]:
        """Names of the folders directly below `key`, in any order; none if it is not there."""
        ...

    def get(self, key: str) -> bytes:
        """All bytes of a file."""
        ...

    def tail(self, key: str, num_bytes: int) -> bytes:
        """Last bytes of a file."""
        ...

    def read_into(self, key: str, *buffers: np.ndarray) -> int:
        """Fill uint8 [byte] buffers from the start of a file on; return the number of its bytes,
        counted up to one more than the buffers hold."""
        ...

    def read_ranges(self, key: str, offsets: Sequence[int], buffers: Sequence[np.ndarray]) -> None:
        """Fill uint8 [byte] buffers of any length, each from its offset in a file on.

        Raises OSError if the file ends before."""
        ...

    def put(self, *stages: Mapping[str, Sequence]) -> None:
        """Write files, each given as buffers that follow one another.

        Those of a stage last before one of the next takes its name. Raises StoreError if the store
        was removed meanwhile."""
        ...

    def writing(self) -> AbstractContextManager[None]:
        """Hold what must not be cleared while it is written; raises as `put` does."""
        ...

    def alone(self) -> AbstractContextManager[bool]:
        """Whether nobody writes, nor begins to before the end; False where that is not known."""
        ...

    def leftovers(self, key: str, leave_out: Callable[[str], bool]) -> list[str]:
        """What stopped runs have left below `key`, or have on its way: files under temporary names,
        and folders that hold nothing else. Folders of which `leave_out` is true are not looked
        into."""
        ...

    def files(self, key: str) -> Iterator[StoredFile]:
        """Every file at or below `key`, in any order; none if nothing is there."""
        ...

    def walk(self) -> Iterator[tuple[str, list[str]]]:
        """Every folder, in any order, and the names of the files in it."""
        ...

    def remove(self, key: str) -> None:
        """Remove the file at `key`, or the folder with all that is in it, if it is there."""
        ...

    def free_bytes(self) -> int | None:
        """Bytes that can still be written; None where there is no limit that is known."""
        ...


class LocalStorage:
    """A folder on a disk."""

    def __init__(self, folder: Path, *, writable: bool) -> None:
        self.folder = folder
        self.location = str(folder)
        self.cache_folder = _beside(folder)
        self.zarr_store: ZarrStore = LocalStore(folder, read_only=not writable)

    def threads(self, num_bytes: int) -> int:
        """See Storage."""
        # Below that, threads wait for each other longer than for the disk.
        return min(4, os.cpu_count() or 1) if num_bytes >= 2**18 else 1

    def exists(self, key: str) -> bool:
        """See Storage."""
        return (self.folder / key).is_file()

    def folders(self, key: str) -> list[str]:
        """See Storage."""
        try:
            with os.scandir(self.folder / key) as entries:
                return [entry.name for entry in entries if entry.is_dir()]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def get(self, key: str) -> bytes:
        """See Storage."""
        return read_regular(self.folder / key)

    def tail(self, key: str, num_bytes: int) -> bytes:
        """See Storage."""
        with open_regular(self.folder / key) as file:
            file.seek(-num_bytes, os.SEEK_END)
            return file.read()

    def read_into(self, key: str, *buffers: np.ndarray) -> int:
        """See Storage; uint8 [byte] each."""
        num_bytes = 0
        with open_unbuffered(self.folder / key) as file:
            for buffer in (*buffers, np.empty(1, np.uint8)):
                num_bytes += _fill(file, buffer)
        return num_bytes

    def read_ranges(self, key: str, offsets: Sequence[int], buffers: Sequence[np.ndarray]) -> None:
        """See Storage; uint8 [byte] each. Raises OSError as there."""
        with open_unbuffered(self.folder / key) as file:
            for offset, buffer in zip(offsets, buffers, strict=True):
                file.seek(offset)
                if _fill(file, buffer) < len(buffer):
                    raise OSError(f"{self.folder / key} is too short")

    def put(self, *stages: Mapping[str, Sequence]) -> None:
        """See Storage."""
        files = [{self.folder / key: stage[key] for key in stage} for stage in stages]
        if any(_ROOT in stage for stage in stages):
            put_stages(files)
            return
        with self._told_if_gone():
            put_stages(files, self.folder)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """See Storage."""
        with self._told_if_gone(), writing_in(self.folder):
            yield

    @contextlib.contextmanager
    def _told_if_gone(self) -> Iterator[None]:
        try:
            # Else what is written next would make a store without a root of it.
            require_regular(self.folder / _ROOT)
            yield
        except FileNotFoundError as error:
            if self.exists(_ROOT):
                raise
            raise StoreError(
                f"{self.folder} was removed while it was written; nothing more is put there"
            ) from error

    def alone(self) -> AbstractContextManager[bool]:
        """See Storage."""
        return alone_in(self.folder)

    def leftovers(self, key: str, leave_out: Callable[[str], bool]) -> list[str]:
        """See Storage."""
        found: list[str] = []
        self._has_content(key, leave_out, found)
        return found

    def _has_content(self, key: str, leave_out: Callable[[str], bool], found: list[str]) -> bool:
        """Whether a folder holds anything but leftovers, which are added to `found`."""
        if leave_out(key):
            return True
        has_content, left = False, []
        try:
            entries = list(os.scandir(self.folder / key))
        except FileNotFoundError:
            # Gone meanwhile.
            return True
        for entry in entries:
            name = f"{key}/{entry.name}" if key else entry.name
            if entry.is_dir(follow_symlinks=False):
                inner: list[str] = []
                is_kept = self._has_content(name, leave_out, inner)
                left += inner if is_kept else [name]
                has_content |= is_kept
            elif entry.name.endswith(SUFFIX):
                left.append(name)
            else:
                has_content = True
        found += left
        return has_content

    def files(self, key: str) -> Iterator[StoredFile]:
        """See Storage. Symbolic links are not followed."""
        path = self.folder / key
        names = [path] if path.is_file() else []
        for folder, _, found in os.walk(path):
            names += [Path(folder, name) for name in found]
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                status = name.lstat()
                yield StoredFile(
                    key=name.relative_to(self.folder).as_posix(),
                    size_bytes=status.st_size,
                    changed_at=status.st_mtime,
                    version=f"{status.st_ino} {status.st_mtime_ns} {status.st_size}",
                )

    def walk(self) -> Iterator[tuple[str, list[str]]]:
        """See Storage. Symbolic links are not followed."""
        for folder, _, names in os.walk(self.folder):
            path = Path(folder).relative_to(self.folder).as_posix()
            yield "" if path == "." else path, names

    def remove(self, key: str) -> None:
        """See Storage."""
        path = self.folder / key
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def free_bytes(self) -> int | None:
        """See Storage."""
        return shutil.disk_usage(self.folder).free


def _fill(file, buffer: np.ndarray) -> int:
    """Read until `buffer` is full or the file ends; return how many bytes that were."""
    num_bytes = 0
    while num_bytes < len(buffer):
        got = file.readinto(buffer[num_bytes:])
        if not got:
            break
        num_bytes += got
    return num_bytes


def _beside(folder: Path) -> Path:
    """The cache of a store in a folder. Raises UsageError for the root of the file system."""
    # `.` and `..` have the name of the folder that they are.
    named = folder.resolve() if folder.name in ("", "..") else folder
    if not named.name:
        raise UsageError(f"{folder} is no place for a store; give the path of a folder in it")
    return named.with_name(f"{named.name}.cache")
