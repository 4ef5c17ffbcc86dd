"""Files that are whole or not there, and last once they have their names.

A file is written under a temporary name, forced to the disk, then renamed. Many files are forced
by one `syncfs`, which costs as much as one `fsync`: file by file, the disk takes 5 to 20 times as
long for a block of embeddings.
"""

import ctypes
import errno
import functools
import os
import platform
import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from vifistore.errors import StoreError
from vifistore.files import write_all
from vifistore.temporaries import clear_temporaries_of, temporary_name, writing_in

Item = TypeVar("Item")
Result = TypeVar("Result")

# A disk commits the waiting fsyncs of many threads together; one after the other they took 5-8
# times as long.
SYNC_THREADS = 16

_WRITE_THREADS = 4

# `syncfs` also waits for what others have written to that disk, so a file or two are forced alone.
_MANY_FILES = 16

# Files of fewer bytes are on the disk soon enough.
_LARGE_BYTES = 2**18
_SYNC_FILE_RANGE_WRITE = 2


def put_file(path: Path, *buffers) -> None:
    """Write one file, as `put_stages` does; what stopped runs left of it goes."""
    clear_temporaries_of(path)
    put_stages([{path: buffers}])


def put_stages(stages: Sequence[Mapping[Path, Sequence]], root: Path | None = None) -> None:
    """Write the files of each stage, given as buffers that follow one another.

    All are on the disk before the first takes its name, and the names of a stage last before one
    of the next is given. Below `root` missing folders are made, `root` itself is not; without one
    any folder is. Raises OSError of the disk; what has no name by then leaves no trace.
    """
    temporaries = {path: temporary_name(path) for stage in stages for path in stage}
    folders = {path.parent for path in temporaries}
    made: list[Path] = []
    with ExitStack() as held:
        if root is not None:
            held.enter_context(writing_in(root))
        try:
            _make_folders(folders, root, made)
            for folder in folders if root is None else ():
                held.enter_context(writing_in(folder))
            _put(stages, temporaries, {folder.parent for folder in made})
        except BaseException:
            for temporary in temporaries.values():
                # Nor is its folder there where that could not be made.
                with suppress(FileNotFoundError, NotADirectoryError):
                    temporary.unlink()
            for folder in reversed(made):
                with suppress(OSError):
                    folder.rmdir()
            raise


def _put(
    stages: Sequence[Mapping[Path, Sequence]], temporaries: Mapping[Path, Path], changed: set[Path]
) -> None:
    """Write, force and name the files; `changed` are folders with a new one in them."""
    with _forcing(temporaries) as force_all:
        items = [(temporaries[path], stage[path]) for stage in stages for path in stage]
        if force_all:
            # A share each: handing over file by file costs more than writing a small one.
            shares = [items[number::_WRITE_THREADS] for number in range(_WRITE_THREADS)]
            parallel(_write_each, shares, _WRITE_THREADS)
        else:
            parallel(_write_and_fsync, items, SYNC_THREADS)
        force = force_all or fsync_all
        if force_all:
            force_all(())
        for stage in stages:
            for path in stage:
                _rename(temporaries[path], path)
            force({path.parent for path in stage} | changed)


def fsync_all(paths: Iterable[Path]) -> None:
    """Force files or folders to the disk. Raises StoreError if one is gone."""
    parallel(_fsync, set(paths), SYNC_THREADS)


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


def ahead(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int
) -> Iterator[Result]:
    """As `parallel`, one by one: no more results wait to be taken than there are threads."""
    if threads < 2:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) == threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _make_folders(folders: Iterable[Path], root: Path | None, made: list[Path]) -> None:
    """Make folders that are missing, but for `root`; each that was made is added to `made`."""
    for folder in folders:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        if root in missing:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(root))
        for path in reversed(missing):
            # Another process may be as far.
            path.mkdir(exist_ok=True)
            made.append(path)


@contextmanager
def _forcing(paths: Collection[Path]) -> Iterator[Callable[[Iterable[Path]], None] | None]:
    """Give what forces all that is written from now on, whatever it is told; None for few files."""
    folders = {os.stat(path.parent).st_dev: path.parent for path in paths}
    syncfs = _syncfs() if len(paths) >= _MANY_FILES else None
    if syncfs is None:
        yield None
        return
    with ExitStack() as stack:
        # Opened before anything is written: a disk that fails from then on is told of.
        descriptors = [os.open(folder, os.O_RDONLY) for folder in folders.values()]
        for descriptor in descriptors:
            stack.callback(os.close, descriptor)

        def force(_: Iterable[Path]) -> None:
            for descriptor in descriptors:
                if syncfs(descriptor):
                    code = ctypes.get_errno()
                    raise OSError(code, os.strerror(code))

        yield force


def _syncfs() -> Callable[[int], int] | None:
    """The C library's `syncfs`; None where there is none that tells of a disk that failed."""
    version = re.match(r"(\d+)\.(\d+)", platform.release())
    if (
        platform.system() != "Linux"
        or version is None
        or tuple(map(int, version.groups())) < (5, 8)
    ):
        return None
    return getattr(_libc(), "syncfs", None)


def _write(item: tuple[Path, Sequence]) -> None:
    path, buffers = item
    with open(path, "xb", buffering=0) as file:
        for buffer in buffers:
            write_all(file.fileno(), buffer)
        if file.tell() >= _LARGE_BYTES:
            _send_ahead(file.fileno())


def _send_ahead(descriptor: int) -> None:
    """Have the disk begin with what was written, while more is being written; where it cannot,
    it begins later."""
    if sync_file_range := getattr(_libc(), "sync_file_range", None):
        length = ctypes.c_int64(0)
        sync_file_range(descriptor, length, length, _SYNC_FILE_RANGE_WRITE)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _write_each(items: Iterable[tuple[Path, Sequence]]) -> None:
    for item in items:
        _write(item)


def _write_and_fsync(item: tuple[Path, Sequence]) -> None:
    _write(item)
    _fsync(item[0])


def _rename(temporary: Path, path: Path) -> None:
    os.replace(temporary, path)


def _fsync(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise StoreError(f"{path} vanished while it was written: {error}") from error
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
