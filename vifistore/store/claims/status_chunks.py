"""The status of videos as the chunks of a set say, which may lack, or be damaged.

In a bucket a request takes its time, and of a set that is not sealed all chunks are asked for. Most
are equal, bytes for bytes: those that the bucket lists under one checksum are fetched once.
"""

import contextlib
import hashlib
from collections.abc import Container, Mapping, Sequence

import numpy as np

from vifistore.errors import DamagedError
from vifistore.store.key_value.durable import parallel
from vifistore.store.key_value.object_storage import ObjectStorage
from vifistore.store.schema import BLOCK_SIZE, TODO
from vifistore.store.zarr_format.backend import Backend
from vifistore.store.zarr_format.block_ranges import block_rows, blocks_of, stretches
from vifistore.store.zarr_format.coding import read_block
from vifistore.store.zarr_format.layout import Layout


def read_status_leniently(backend: Backend, path: str, start: int, stop: int) -> np.ndarray:
    """Read the status of rows [start, stop), uint8 [video], of the feature set at `path`; what
    cannot be read of it is to do."""
    if isinstance(backend.place, ObjectStorage):
        status = np.full(stop - start, TODO, np.uint8)
        put_status(status, start, status_of_blocks(backend, path, blocks_of(start, stop)))
        return status
    try:
        return backend.read(f"{path}/status", start, stop)
    except DamagedError:
        status = np.full(stop - start, TODO, dtype=np.uint8)
    for low, high in stretches(start, stop):
        with contextlib.suppress(DamagedError):
            status[low - start : high - start] = backend.read(f"{path}/status", low, high)
    return status


def put_status(status: np.ndarray, start: int, found: Mapping[int, np.ndarray]) -> None:
    """Put that of blocks, uint8 [row] each, where it belongs in `status`, uint8 [video], which is
    of the rows from `start` on."""
    stop = start + len(status)
    for block, codes in found.items():
        rows = block_rows(block, stop)
        codes = codes[: len(rows)][max(start - rows.start, 0) :]
        first = max(rows.start - start, 0)
        status[first : first + len(codes)] = codes


def status_of_blocks(backend: Backend, path: str, blocks: Container[int]) -> dict[int, np.ndarray]:
    """The status, uint8 [row], of those of some blocks of which there is a chunk that can be read;
    nothing where another program laid them out."""
    try:
        layout = backend.layout(f"{path}/status")
    except DamagedError:
        return {}
    if not isinstance(layout, Layout) or layout.size != BLOCK_SIZE:
        return {}
    alike: dict[str, list[int]] = {}
    for block, version in listed_versions(backend, path).items():
        if block in blocks:
            alike.setdefault(version, []).append(block)

    def read(version: str, blocks: Sequence[int]) -> dict[int, np.ndarray]:
        first, content = _chunk(backend, path, layout, blocks[0])
        if md5(content) == version:
            return dict.fromkeys(blocks, first)
        others = {block: _chunk(backend, path, layout, block)[0] for block in blocks[1:]}
        return {blocks[0]: first, **others}

    found = parallel(lambda item: read(*item), alike.items(), backend.place.threads(0))
    return {block: codes for part in found for block, codes in part.items() if len(codes)}


def listed_versions(backend: Backend, path: str) -> dict[int, str]:
    """What tells the bytes of each chunk of status that is there from others, by block: in a bucket
    it may be their `md5`."""
    found: dict[int, str] = {}
    for file in backend.place.files(f"{path}/status"):
        number = file.key.rpartition("/c.")[2]
        if number.isdecimal():
            found[int(number)] = file.version.strip('"')
    return found


def md5(content: bytes) -> str:
    """What S3 lists of an object that it keeps as it is."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _chunk(backend: Backend, path: str, layout: Layout, block: int) -> tuple[np.ndarray, bytes]:
    """The status of a block, uint8 [row], and the content of its file; nothing if it is gone, or
    damaged."""
    try:
        codes, checksum = read_block(backend.place, f"{path}/status", layout, block)
    except (FileNotFoundError, DamagedError):
        return np.empty(0, np.uint8), b""
    return codes, codes.tobytes() + checksum
