"""Files of others: opened only where they are regular, and never larger than they may be.

A pipe or a device named like a picture, a list or a chunk would be read for ever, or fill memory.
Anything may lie in a folder of videos, a store or a results folder that came from elsewhere.
"""

import contextlib
import errno
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from io import BufferedReader, FileIO
from pathlib import Path

# Far above any list, table or document: what is larger is a video or an archive named by mistake.
_LARGEST_BYTES = 1 << 30
_PIECE_BYTES = 1 << 20
# Whoever holds a lock file appends some lines.
_POLL_SECONDS = 0.005


def file_in_the_way(folder: Path) -> Path | None:
    """What keeps a folder from being made: a file in its place, or in that of one above it."""
    there = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
    return None if there.is_dir() else there


def require_regular(path: str | os.PathLike) -> None:
    """Raise OSError unless `path` is a regular file, or a link to one."""
    _check_regular(os.stat(path), path)


def _check_regular(status: os.stat_result, path: object) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is a pipe, a socket or a device, not a file", str(path))


def regular_opener(path: str, flags: int) -> int:
    """The `opener` of `open` that raises OSError for what is no regular file, and never waits."""
    # Opening alone may act on a device, so it is asked first; whoever swaps a pipe in meanwhile
    # finds that its opening does not wait for a writer.
    try:
        require_regular(path)
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666)
    try:
        _check_regular(os.fstat(descriptor), path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_regular(path: str | os.PathLike) -> BufferedReader:
    """Open a regular file for reading bytes. Raises OSError for anything else."""
    return open(path, "rb", opener=regular_opener)


def open_unbuffered(path: str | os.PathLike) -> FileIO:
    """`open_regular` for who reads large pieces into memory of his own."""
    return open(path, "rb", buffering=0, opener=regular_opener)


def read_regular(path: str | os.PathLike, most_bytes: int = _LARGEST_BYTES) -> bytes:
    """All bytes of a regular file. Raises OSError for anything else, and for more than may be."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = b"" if size > most_bytes else file.read(size + 1)
        # A file that grows, or one of /proc, holds more than it says.
        while size < len(content) <= most_bytes and (more := file.read(_PIECE_BYTES)):
            content += more
    if max(size, len(content)) > most_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {most_bytes >> 20} MiB", str(path))
    return content


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of a buffer: one call of the system takes 2 GiB at most, and less where the disk
    fills up. Raises OSError of the disk."""
    rest = memoryview(data).cast("B")
    while len(rest):
        rest = rest[os.write(descriptor, rest) :]


def memory_file() -> int:
    """An open file without a name, in memory where the system has such files (Linux).

    Nothing of it is left when the last process that holds it is gone, however it went.
    """
    if hasattr(os, "memfd_create"):
        return os.memfd_create("vifistore", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until nobody else, in this process or another, holds the lock file `path`, and hold it.

    The file is made where it is not there, and stays. A lock ends with its process, however that
    ends. Raises OSError for what is no regular file, and where the file system has no locks.
    """
    # Few commands need it, and importing it takes longer than all others of this module.
    from filelock import FileLock

    with contextlib.suppress(FileNotFoundError):
        require_regular(path)
    # What it falls back to where there are no locks would stay after a kill.
    with FileLock(path, poll_interval=_POLL_SECONDS, fallback_to_soft=False):
        yield


def user_cache_folder() -> Path:
    """Folder for caches that belong to no store on this disk: in `XDG_CACHE_HOME`, else `~/.cache`.

    It need not be there yet.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vifistore"


def parse_json(text: str | bytes) -> object:
    """The value of a JSON document. Raises ValueError for whatever is none."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def parse_json_object(text: str | bytes) -> dict:
    """The fields of a JSON document. Raises ValueError for whatever is no object."""
    if not isinstance(found := parse_json(text), dict):
        raise ValueError(f"it is {found!r:.40}, not an object")
    return found


def read_json(path: Path) -> object:
    """The value in a JSON file. Raises OSError as `read_regular` does, else ValueError."""
    return parse_json(read_regular(path).decode("utf-8-sig"))


def read_json_object(path: Path) -> dict:
    """The fields in a JSON file. Raises OSError as `read_regular` does, else ValueError."""
    return parse_json_object(read_regular(path).decode("utf-8-sig"))
