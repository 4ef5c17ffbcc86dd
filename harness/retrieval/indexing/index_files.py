"""The files of a FAISS index: written whole, and held against their checksums before they are used.

FAISS itself reads whatever numbers there are: flipped ones would find other videos. Checking takes
as long as reading the file once, 5 GB a second where it is in memory; the search of a Flat index
reads all of it anyway.
"""

import contextlib
import errno
import json
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import google_crc32c
import numpy as np

from vifistore.errors import DamagedError, StoreError, first_line
from vifistore.files import open_unbuffered, read_json, require_regular
from vifistore.temporaries import atomic_path, clear_temporaries

_VECTORS, _ROWS, _SETTINGS = "index.faiss", "rows.npy", "settings.json"
_CHECKSUMS = "checksums"
_PIECE_BYTES = 1 << 22

# FAISS takes the matrix product of BLAS from so many numbers of queries x dim on. At its default of
# 128,000 it takes 2-3 times as long as NumPy for 16 queries of 512; one query is faster without.
_BLAS_NUMBERS = 2048


@cache
def load_faiss() -> ModuleType:
    """FAISS, set up; a fifth of a second to import."""
    import faiss

    faiss.cvar.distance_compute_blas_threshold = _BLAS_NUMBERS
    return faiss


def write_index_files(folder: Path, index: Any, rows: np.ndarray, settings: dict) -> None:
    """Write an index into `folder`, `STATE-KIND`, whole or not at all; earlier ones of its kind go.

    `index` is a `faiss.Index`, `rows` int64 [vector]. Raises StoreError for a full disk, OSError
    if it cannot be written otherwise.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    clear_temporaries(folder.parent)
    try:
        with atomic_path(folder) as temporary:
            temporary.mkdir()
            _write(temporary, index, rows, settings)
            for old in folder.parent.glob(f"*-{folder.name.rpartition('-')[2]}"):
                shutil.rmtree(old, ignore_errors=True)
    except RuntimeError as error:
        # What FAISS raises for a full disk.
        raise StoreError(f"{folder} cannot be written ({error}); make room there") from error
    except OSError as error:
        # Another process may have been faster, with an index of the same videos.
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def _write(folder: Path, index: Any, rows: np.ndarray, settings: dict) -> None:
    load_faiss().write_index(index, str(folder / _VECTORS))
    np.save(folder / _ROWS, rows)
    checksums = {name: _checksum(folder / name) for name in (_VECTORS, _ROWS)}
    text = json.dumps({**settings, _CHECKSUMS: checksums})
    (folder / _SETTINGS).write_text(text, encoding="utf-8")


def read_index_files(folder: Path) -> tuple[Any, np.ndarray, dict]:
    """The `faiss.Index` in `folder`, mapped into memory, its rows int64 [vector], and its settings.

    Raises DamagedError for files that cannot be read, and for others than those written.
    """
    faiss = load_faiss()
    flags = faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_READ_ONLY
    with _damage():
        settings: Any = read_json(folder / _SETTINGS)
        if _CHECKSUMS not in settings:
            raise ValueError("an earlier version wrote it, without checksums")
        for name in (_VECTORS, _ROWS):
            if settings[_CHECKSUMS][name] != _checksum(folder / name):
                raise ValueError(f"{name} does not match its checksum")
        require_regular(folder / _ROWS)
        rows = np.load(folder / _ROWS, allow_pickle=False)
        index = faiss.read_index(str(folder / _VECTORS), flags)
        if len(rows) != index.ntotal:
            raise ValueError(f"{len(rows)} rows for {index.ntotal} vectors")
    return index, rows, settings


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except (
        *(RuntimeError, ValueError, LookupError, TypeError, OSError),
        *(ArithmeticError, AttributeError, MemoryError),
    ) as error:
        raise DamagedError(first_line(error)) from error


def _checksum(path: Path) -> int:
    """CRC32C of a file."""
    checksum = 0
    with open_unbuffered(path) as file:
        while piece := file.read(_PIECE_BYTES):
            checksum = google_crc32c.extend(checksum, piece)
    return checksum
