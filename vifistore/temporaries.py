"""Files under temporary names: what they are called, and when one that was left behind can go.

Whoever writes holds a lock on the folder, together with all others who write there. Whoever has the
folder alone knows that nobody is writing, so that what bears a temporary name is what a stopped
process left. A lock ends with its process, however that ends.
"""

import contextlib
import fcntl
import glob
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

SUFFIX = ".partial"
_TEMPORARY = re.compile(rf"\.[0-9a-f]{{32}}\{SUFFIX}")

# Clearing takes milliseconds. Longer than that nobody is waited for: somebody may hold the folder
# for reasons of their own, as by `flock FOLDER vifi ...`.
_PATIENCE_SECONDS = 2.0
_POLL_SECONDS = 0.01


def temporary_name(path: Path) -> Path:
    """A name beside `path` for a file or folder that will be renamed to it."""
    return path.with_name(f"{path.name}.{uuid.uuid4().hex}{SUFFIX}")


def is_temporary(name: str) -> bool:
    """Whether a file or folder has such a name."""
    return _TEMPORARY.search(name) is not None and name.endswith(SUFFIX)


@contextlib.contextmanager
def writing_in(folder: Path) -> Iterator[None]:
    """Keep others from clearing a folder, which must be there, while something is written in it.

    Where the file system has no locks, nobody is alone either.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _share(descriptor)
        yield
    finally:
        os.close(descriptor)


def _share(descriptor: int) -> None:
    # Shared, and of a folder, neither of which `vifistore.files.locked` can do.
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(_POLL_SECONDS)
        except OSError:
            return


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[bool]:
    """Whether nobody is writing in a folder or in those below, nor begins to before the end."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_alone = True
    except OSError:
        is_alone = False
    try:
        yield is_alone
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a path of the same name to write a file or a folder at, which is renamed to `path` at
    the end of the block; where the block raises, nothing stays.

    The folder of `path` must be there. Nothing is forced to the disk: `durable.py`
    does that.
    """
    # A folder of its own: what is made beside it, like the cache of a store, goes as well.
    private = temporary_name(path)
    with writing_in(path.parent):
        try:
            private.mkdir()
            yield private / path.name
            os.replace(private / path.name, path)
        finally:
            remove_path(private)


def clear_temporaries_of(path: Path) -> None:
    """Remove what stopped processes left of one file or folder, as `clear_temporaries` does."""
    clear_temporaries(path.parent, f"{glob.escape(path.name)}.*")


def clear_temporaries(folder: Path, pattern: str = "*") -> None:
    """Remove what stopped processes left in a folder, among what fits a pattern of `Path.glob`.

    Where something is being written, and where nothing can be removed, all of it stays.
    """
    # Looked for before the lock: what is written from then on is not among it.
    with contextlib.suppress(OSError):
        found = [path for path in folder.glob(pattern) if is_temporary(path.name)]
        for parent in {path.parent for path in found}:
            with alone_in(parent) as is_alone:
                for path in found if is_alone else ():
                    if path.parent == parent:
                        remove_path(path)


def remove_path(path: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
