"""Output that is either whole or not there."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from vifistore.errors import StoreError, UsageError
from vifistore.temporaries import atomic_path, clear_temporaries_of


@contextlib.contextmanager
def fresh_path(out: Path) -> Iterator[Path]:
    """Give a path to write a file or folder at; rename it to `out` once the block ends well.

    Raises UsageError if `out` is taken, StoreError if the disk refuses.
    """
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise UsageError(f"{out} exists; remove it or give another --out")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        clear_temporaries_of(out)
        with atomic_path(out) as written:
            yield written
            _sync(written)
    except OSError as error:
        if isinstance(error, (StoreError, UsageError)) or error.errno is None:
            raise
        raise StoreError(
            f"{out} cannot be written ({error.strerror}); give another --out, or make room there"
        ) from error


def _sync(path: Path) -> None:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    for file in files:
        with open(file, "rb") as opened:
            os.fsync(opened.fileno())
