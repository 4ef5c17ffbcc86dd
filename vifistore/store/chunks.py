"""The chunks of an array: which are there, their checksums, and the digest that seals them."""

import hashlib
from collections.abc import Mapping

import numpy as np
import zarr

from vifistore.store.backend import Backend
from vifistore.store.coding import encode_chunk
from vifistore.store.schema import BLOCK_SIZE, FEATURE_ARRAYS

_CHECKSUM_BYTES = 4


def has_chunk(backend: Backend, path: str, array: zarr.Array, chunk: int) -> bool:
    """Whether the file of a chunk is there. A lost one reads as the fill value."""
    return backend.place.exists(backend.chunk_key(path, array, chunk))


def open_checked(backend: Backend, path: str) -> zarr.Array:
    """Open the array at `path`. Raises DamagedError whatever is wrong with its zarr.json."""
    # zarr raises errors of many kinds for JSON text of the wrong shape; `layout` does not.
    backend.layout(path)
    return backend.open_array(path)


def checksums(backend: Backend, path: str, num_rows: int) -> dict[str, list[bytes]]:
    """Stored checksums of the chunks that hold the first `num_rows` videos, by array name.

    Where the arrays have grown since, that of the last chunk is what it was: only those rows, and
    then the fill value. Raises DamagedError if a chunk is gone or too short.
    """
    num_blocks = -(-num_rows // BLOCK_SIZE)
    stored = {}
    for name in sorted(FEATURE_ARRAYS):
        array_path = f"{path}/{name}"
        if not backend.exists(array_path):
            continue
        array = open_checked(backend, array_path)
        keys = [backend.chunk_key(array_path, array, block) for block in range(num_blocks)]
        stored[name] = [backend.tail(key, _CHECKSUM_BYTES) for key in keys]
        if num_rows < min(array.shape[0], num_blocks * BLOCK_SIZE):
            stored[name][-1] = _checksum_before_growth(backend, array_path, num_rows)
    return stored


def manifest_digest(stored: Mapping[str, list[bytes]]) -> str:
    """SHA-256 over the names and stored checksums of every chunk of a feature set."""
    digest = hashlib.sha256()
    for name in sorted(stored):
        for block, checksum in enumerate(stored[name]):
            digest.update(f"{name} {block} ".encode() + checksum)
    return digest.hexdigest()


def _checksum_before_growth(backend: Backend, path: str, num_rows: int) -> bytes:
    """Checksum of the chunk that ends at row `num_rows`, without the rows behind."""
    layout = backend.layout(path)
    start = num_rows // BLOCK_SIZE * BLOCK_SIZE
    chunk = np.full(layout.chunk_shape, layout.fill, layout.dtype)
    chunk[: num_rows - start] = backend.read(path, start, num_rows)
    return encode_chunk(chunk, layout)[1]
