"""The chunks of an array: which are there, their checksums, and the digest that seals them."""

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from vifistore.errors import DamagedError
from vifistore.store.feature_record import FeatureRecord
from vifistore.store.key_value.durable import parallel
from vifistore.store.schema import BLOCK_SIZE, ArraySpec
from vifistore.store.zarr_format.backend import Backend
from vifistore.store.zarr_format.block_ranges import block_rows, num_blocks
from vifistore.store.zarr_format.coding import MODEST_BYTES, encode_chunk
from vifistore.store.zarr_format.layout import Grid, Layout

NOTHING: Mapping = MappingProxyType({})

_CHECKSUM_BYTES = 4

# Rows that a byte of another program's chunk may stand for.
_MOST_COMPRESSED = 1000


def lacks_chunk(backend: Backend, path: str, grid: Grid, chunk: int) -> bool:
    """Whether the file of a chunk is gone; a lost one reads as the fill value.

    Of an array that another program laid out that cannot be told: zarr writes no chunk that holds
    the fill value alone.
    """
    return isinstance(grid, Layout) and not backend.place.exists(grid.key(path, chunk))


def open_checked(backend: Backend, path: str) -> Grid:
    """How the array at `path` is laid out.

    Raises DamagedError whatever is wrong with its zarr.json.
    """
    # zarr raises errors of many kinds for JSON text of the wrong shape; `layout` does not.
    grid = backend.layout(path)
    backend.open_array(path)
    return grid


def can_hold(backend: Backend, path: str, grid: Grid, num_rows: int) -> bool:
    """Whether the chunks of an array are large enough for so many rows.

    Those that another program wrote may be compressed.
    """
    least = grid.least_row_bytes if isinstance(grid, Layout) else 1 / _MOST_COMPRESSED
    if num_rows * least <= MODEST_BYTES:
        return True
    return num_rows * least <= sum(file.size_bytes for file in backend.place.files(path))


def checksums(
    backend: Backend, path: str, num_rows: int, known: Mapping[int, Mapping[str, bytes]] = NOTHING
) -> dict[str, list[bytes]]:
    """Checksums of the chunks that hold the first `num_rows` videos, by array name, as ours are.

    They are the stored ones: `known` by block and array, or else read. Where the arrays have grown
    since, that of the last chunk is what it was: only those rows, and then the fill value. Of an
    array that another program laid out they are computed. Raises DamagedError if a chunk is gone or
    too short.
    """
    return {
        name: array_checksums(
            *(backend, f"{path}/{name}", spec, num_rows),
            lambda block, name=name: known.get(block, NOTHING).get(name),
        )
        for name, spec in sorted(FeatureRecord(backend, path).specs.items())
    }


def array_checksums(
    backend: Backend,
    path: str,
    spec: ArraySpec,
    num_rows: int,
    known: Callable[[int], bytes | None] = lambda block: None,
) -> list[bytes]:
    """As `checksums`, of the one array at `path`."""
    blocks, grid = range(num_blocks(num_rows)), backend.layout(path)
    if num_rows > grid.shape[0]:
        raise DamagedError(f"{path} has {grid.shape[0]} rows of {num_rows}")
    ends = min(grid.shape[0], len(blocks) * BLOCK_SIZE)

    def checksum(block: int) -> bytes:
        has_grown = block == blocks[-1] and num_rows < ends
        if is_own(grid) and not has_grown:
            return known(block) or backend.tail(grid.key(path, block), _CHECKSUM_BYTES)
        return _computed(backend, path, spec, grid, block, num_rows)

    # Of ten million videos these are more than a million files, a request each in a bucket.
    return parallel(checksum, blocks, backend.place.threads(_CHECKSUM_BYTES))


def is_own(grid: Grid) -> bool:
    """Whether an array has one of our chunks for each block."""
    return isinstance(grid, Layout) and grid.size == BLOCK_SIZE


def manifest_digest(stored: Mapping[str, list[bytes]]) -> str:
    """SHA-256 over the names and stored checksums of every chunk of a feature set."""
    digest = hashlib.sha256()
    for name in sorted(stored):
        for block, checksum in enumerate(stored[name]):
            digest.update(f"{name} {block} ".encode() + checksum)
    return digest.hexdigest()


def _computed(
    backend: Backend, path: str, spec: ArraySpec, grid: Grid, block: int, num_rows: int
) -> bytes:
    """Checksum that a chunk of ours has with the rows of a block before `num_rows`."""
    rows = block_rows(block, num_rows)
    values = backend.read(path, rows.start, rows.stop)
    layout = Layout(
        shape=grid.shape,
        chunk_shape=(BLOCK_SIZE, *grid.shape[1:]),
        dtype=np.dtype(object if spec.dtype == "str" else spec.dtype),
        fill=spec.fill,
    )
    chunk = np.full(layout.chunk_shape, layout.fill, layout.dtype)
    chunk[: len(values)] = values
    return encode_chunk(chunk, layout)[1]
