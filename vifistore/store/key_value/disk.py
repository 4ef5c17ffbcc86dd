"""Errors of the disk itself, told in one line."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from vifistore.errors import StoreError

_REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EROFS: "make it writable, or copy the store to a place that is",
    errno.EACCES: "make it writable, or copy the store to a place that is",
    errno.EPERM: "make it writable, or copy the store to a place that is",
    errno.EIO: "check the disk",
}


@contextlib.contextmanager
def clear_disk_errors(folder: Path | str) -> Iterator[None]:
    """Turn a disk that is full, read-only or broken into a StoreError that says what to do.

    Every other OSError passes through.
    """
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        if error.errno not in _REMEDIES:
            raise
        raise StoreError(
            f"cannot write to {folder}: {error.strerror}. What was finished is kept; "
            f"{_REMEDIES[error.errno]}, then run the same command again"
        ) from error
