"""Chunks of the store's arrays, coded as zarr codes them: raw little-endian bytes, or strings,
and a CRC32C behind them.

Chunks are cut along the first axis alone, and an array's last chunk is a full one, filled up.
zarr reads and writes the same files, but spends milliseconds per call on what is a read and a
checksum: this reads 2-3 times as fast, straight into the array that is returned.
"""

import math
from functools import partial
from itertools import pairwise

import google_crc32c
import numpy as np
from numcodecs.vlen import VLenUTF8

from vifistore.errors import DamagedError, shell
from vifistore.store.key_value.durable import parallel
from vifistore.store.key_value.storage import Storage
from vifistore.store.zarr_format.block_ranges import blocks_of
from vifistore.store.zarr_format.layout import Layout

_PAGE = 4096
_CHECKSUM = np.dtype("<u4")

# What a chunk or a result may take before the files are asked whether they can hold it.
MODEST_BYTES = 64 * 2**20


def encode_chunk(values: np.ndarray, layout: Layout) -> tuple[np.ndarray, bytes]:
    """Return the bytes, uint8 [byte], of a whole chunk [row ...] and its checksum; the file holds
    one behind the other."""
    if layout.dtype.hasobject:
        data = np.frombuffer(VLenUTF8().encode(values.astype(object)), np.uint8)
    else:
        data = _bytes_of(np.ascontiguousarray(values, layout.dtype))
    return data, np.array(google_crc32c.value(data), _CHECKSUM).tobytes()


def read_rows(
    place: Storage,
    path: str,
    layout: Layout,
    start: int,
    stop: int,
    *,
    may_lack: bool = True,
) -> np.ndarray:
    """Read rows [start, stop) of the array at `path`, [row ...], every checksum verified.

    A chunk that is not there reads as the fill value, unless `may_lack` is False: all were written
    then. Raises DamagedError if a chunk is not what was written.
    """
    _require_possible(place, path, layout, stop - start, may_lack=may_lack)
    rows = _empty((max(stop - start, 0), *layout.shape[1:]), layout.dtype)

    def read(block: int) -> None:
        first, last = block * layout.size, (block + 1) * layout.size
        here = rows[max(first, start) - start : min(last, stop) - start]
        if len(here) == layout.size:
            read_chunk(place, path, layout, block, here, may_lack=may_lack)
            return
        chunk = _empty(layout.chunk_shape, layout.dtype)
        read_chunk(place, path, layout, block, chunk, may_lack=may_lack)
        here[...] = chunk[max(first, start) - first : min(last, stop) - first]

    if len(rows):
        blocks = blocks_of(start, stop, layout.size)
        parallel(read, blocks, place.threads(layout.size * layout.row_bytes))
    return rows


def read_chosen(
    place: Storage,
    path: str,
    layout: Layout,
    rows: np.ndarray,
    *,
    verify: bool,
    may_lack: bool = True,
) -> np.ndarray:
    """Read `rows`, [row], as [row ...], in the given order, any number of times each.

    With `verify` whole chunks are read, else nothing but the rows, and damage goes unnoticed;
    strings are always verified. A chunk that is not there is treated as by `read_rows`. Raises
    DamagedError if a chunk is not what was written.
    """
    if not len(rows):
        return np.empty((0, *layout.shape[1:]), layout.dtype)
    _require_possible(place, path, layout, 0, may_lack=may_lack)
    whole = verify or layout.dtype.hasobject
    if whole and (np.diff(rows) == 1).all():
        # Neighbours in order: their chunks go straight into what is returned.
        first, last = int(rows[0]), int(rows[-1])
        return read_rows(place, path, layout, first, last + 1, may_lack=may_lack)
    chosen = _empty((len(rows), *layout.shape[1:]), layout.dtype)
    order = np.argsort(rows, kind="stable")
    blocks, starts = np.unique(rows[order] // layout.size, return_index=True)
    parts = list(zip(blocks.tolist(), np.split(order, starts[1:]), strict=True))
    read = _read_whole if whole else _read_bare
    work = partial(read, place, path, layout, rows, chosen, may_lack)
    # Each thread takes a share and one buffer, since fresh memory costs more than the checksum.
    threads = place.threads(layout.row_bytes * (layout.size if whole else 1))
    parallel(work, [parts[number::threads] for number in range(threads)], threads)
    return chosen


def _require_possible(
    place: Storage, path: str, layout: Layout, num_rows: int, *, may_lack: bool
) -> None:
    """Raise DamagedError where the files of an array cannot hold what its zarr.json says.

    Memory is asked for by that, and a shape is easily written: only files show what there is. A
    chunk that may lack is taken to be as long as the others.
    """
    num_rows = 0 if may_lack else num_rows
    if max(layout.size, num_rows) * layout.row_bytes <= MODEST_BYTES:
        return
    sizes = [file.size_bytes for file in place.files(path)]
    least = layout.least_row_bytes
    if layout.size * least > max(sizes, default=0) or num_rows * least > sum(sizes):
        raise _damaged(place, f"{path}/zarr.json", "speaks of more than its chunks hold")


def _read_whole(place, path, layout, rows, chosen, may_lack, parts) -> None:
    chunk = _empty(layout.chunk_shape, layout.dtype)
    for block, positions in parts:
        read_chunk(place, path, layout, block, chunk, may_lack=may_lack)
        # One by one: `chunk[...]` with many would copy them twice.
        for position, row in zip(positions, rows[positions] - block * layout.size, strict=True):
            chosen[position] = chunk[row]


def _read_bare(place, path, layout, rows, chosen, may_lack, parts) -> None:
    row_bytes = layout.row_bytes
    targets = _bytes_of(chosen).reshape(-1, row_bytes)
    for block, positions in parts:
        key = layout.key(path, block)
        offsets = (rows[positions] - block * layout.size) * row_bytes
        # Neighbours in the chunk that stay neighbours are one range: of long videos, most are.
        breaks = (np.diff(offsets) != row_bytes) | (np.diff(positions) != 1)
        firsts = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(positions)]
        runs = [
            targets[positions[first] : positions[stop - 1] + 1].reshape(-1)
            for first, stop in pairwise(firsts)
        ]
        try:
            place.read_ranges(key, offsets[firsts[:-1]].tolist(), runs)
        except FileNotFoundError as error:
            if not may_lack:
                raise _damaged(place, key, "is gone") from error
            chosen[positions] = layout.fill
        except OSError as error:
            raise _damaged(place, key, "is too short") from error


def read_chunk(
    place: Storage,
    path: str,
    layout: Layout,
    block: int,
    chunk: np.ndarray,
    *,
    may_lack: bool = True,
) -> None:
    """Read one chunk into `chunk` [row ...], verified; one that is not there is treated as by
    `read_rows`.

    Raises DamagedError if it is not what was written.
    """
    key = layout.key(path, block)
    try:
        if layout.dtype.hasobject:
            chunk[...] = _read_strings(place, key, len(chunk))[0]
        else:
            _read_numbers(place, key, chunk)
    except FileNotFoundError as error:
        if not may_lack:
            raise _damaged(place, key, "is gone") from error
        chunk[...] = layout.fill


def read_block(place: Storage, path: str, layout: Layout, block: int) -> tuple[np.ndarray, bytes]:
    """A whole chunk [row ...], verified, and its checksum.

    Raises FileNotFoundError if it is not there, DamagedError if it is not what was written.
    """
    _require_possible(place, path, layout, 0, may_lack=True)
    key = layout.key(path, block)
    if layout.dtype.hasobject:
        return _read_strings(place, key, layout.size)
    chunk = _empty(layout.chunk_shape, layout.dtype)
    return chunk, _read_numbers(place, key, chunk)


def _read_numbers(place: Storage, key: str, chunk: np.ndarray) -> bytes:
    """Read numbers into `chunk`; return the checksum."""
    data, checksum = _bytes_of(chunk), np.empty(4, np.uint8)
    num_bytes = place.read_into(key, data, checksum)
    if num_bytes != len(data) + len(checksum):
        raise _damaged(place, key, "does not have the length that it was written with")
    _verify(place, key, data, checksum)
    return checksum.tobytes()


def _read_strings(place: Storage, key: str, num_rows: int) -> tuple[np.ndarray, bytes]:
    """Texts [row] and the checksum."""
    data = np.frombuffer(place.get(key), np.uint8)
    if len(data) <= _CHECKSUM.itemsize:
        raise _damaged(place, key, "is too short")
    data, checksum = data[: -_CHECKSUM.itemsize], data[-_CHECKSUM.itemsize :]
    _verify(place, key, data, checksum)
    # The first number says how many there are, and the decoder takes memory for so many.
    found = int(data[:4].view("<u4")[0]) if len(data) >= 4 else -1
    if found != num_rows:
        raise _damaged(place, key, f"holds {found} rows, not {num_rows}")
    try:
        return VLenUTF8().decode(data), checksum.tobytes()
    except ValueError as error:
        raise _damaged(place, key, f"holds no texts ({error})") from error


def _verify(place: Storage, key: str, data: np.ndarray, checksum: np.ndarray) -> None:
    if google_crc32c.value(data) != checksum.view(_CHECKSUM)[0]:
        raise _damaged(place, key, "does not match its checksum")


def _damaged(place: Storage, key: str, what: str) -> DamagedError:
    again = shell("vifi", "verify", place.location)
    return DamagedError(f"{place.location}/{key} {what}; run: {again}")


def _bytes_of(values: np.ndarray) -> np.ndarray:
    """The memory of a contiguous array, as uint8 [byte]."""
    return values.reshape(-1).view(np.uint8)


def _empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Memory that files are read into fast.

    Files lie in pages of 4096 bytes. A large array begins 16 bytes behind such a page, which makes
    the processor take each load for one of the bytes just stored: reading took 1.5 times as long.
    """
    if dtype.hasobject:
        return np.empty(shape, dtype)
    num_bytes = math.prod(shape) * dtype.itemsize
    memory = np.empty(num_bytes + _PAGE, np.uint8)
    start = (_PAGE // 2 - memory.ctypes.data) % _PAGE
    return memory[start : start + num_bytes].view(dtype).reshape(shape)
