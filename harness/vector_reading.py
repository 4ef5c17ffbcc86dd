"""Read chosen rows of a feature set, whole chunks at a time and within bounded memory.

The one vector of a video that is searched and drawn has unit length, so that a product is a cosine:

    v = u / |u|,   u = mean over views of `view_mean`

Quarantined videos, and those still to do, have none.
"""

from collections.abc import Iterator

import numpy as np

from harness.fusion import is_usable, unit
from vifistore.errors import DamagedError
from vifistore.store.feature_record import NUM_VALID
from vifistore.store.features import Features
from vifistore.store.pooling import counted_frames
from vifistore.store.schema import BLOCK_SIZE, DONE
from vifistore.store.zarr_format.block_ranges import blocks_within

# As much as one read asks for: large enough that the cost of a call does not count.
READ_BYTES = 32 * 2**20


def read_vectors(
    features: Features, name: str, rows: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (positions, vectors): `vectors` float32 [video ... dim] belong to `rows[positions]`.

    Every position comes once, in the order of the store rather than of `rows`. Whole chunks are
    read, since only then are their checksums verified. Raises DamagedError for a chunk that does
    not match its checksum and for an embedding that is zero or not finite, as frames are that only
    pad a view: see `read_frames`.
    """
    order = np.argsort(rows, kind="stable")
    sorted_rows = rows[order]
    for start, stop in _spans(sorted_rows, _blocks_per_read(features, name)):
        first, last = np.searchsorted(sorted_rows, [start, stop])
        block = features.read(name, start, stop)
        vectors = block[sorted_rows[first:last] - start].astype(np.float32, copy=False)
        require_usable(is_usable(vectors), sorted_rows[first:last], features, name)
        yield order[first:last], vectors


def read_frames(
    features: Features, rows: np.ndarray, *, verify: bool = True
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (positions, frames, counts) of `rows`, as `read_vectors` does, of sets that pad views
    too; who computes with them looks whether they are usable (`require_usable`).

    `frames` float16 [video view frame dim] belong to `rows[positions]`; `counts` bool [video view
    frame] says which of them are frames, and not padding. Without `verify` only these rows are
    read, not their whole chunks, and damage to them goes unnoticed. Raises UsageError for a set
    without frames, DamagedError for a chunk that does not match its checksum.
    """
    # Opened once: of a few rows that takes longer than reading them.
    opened = features.frames if features.frames is not None else features.require_array("frames")
    num_frames = opened.shape[2]
    order = np.argsort(rows, kind="stable")
    sorted_rows = np.asarray(rows)[order]
    for start, stop in _spans(sorted_rows, _blocks_per_read(features, "frames")):
        first, last = np.searchsorted(sorted_rows, [start, stop])
        here = sorted_rows[first:last]
        frames = features.read_chosen("frames", here, verify=verify)
        counts = counted_frames(features.read_chosen(NUM_VALID, here, verify=verify), num_frames)
        yield order[first:last], frames, counts


def read_all(features: Features, name: str, rows: np.ndarray) -> np.ndarray:
    """Vectors of `rows` in their order, float32 [video ... dim]; meant for the view arrays."""
    shape = getattr(features, name).shape[1:]
    vectors = np.empty((len(rows), *shape), np.float32)
    for positions, part in read_vectors(features, name, rows):
        vectors[positions] = part
    return vectors


def done_rows(features: Features) -> np.ndarray:
    """Rows of the videos that have embeddings, int64 [video]."""
    return np.flatnonzero(features.read_status() == DONE)


def video_vectors(features: Features, rows: np.ndarray) -> np.ndarray:
    """The one vector of each of `rows`, in their order, float32 [video dim] of unit length.

    Raises DamagedError for embeddings that do not match their checksum, are zero or not finite.
    """
    vectors = np.empty((len(rows), features.view_mean.shape[-1]), np.float32)
    for positions, part in vector_blocks(features, rows):
        vectors[positions] = part
    return vectors


def vector_blocks(features: Features, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (positions, vectors): float32 [video dim] belong to `rows[positions]`."""
    for positions, views in read_vectors(features, "view_mean", rows):
        yield positions, unit(views.mean(axis=1))


def _blocks_per_read(features: Features, name: str) -> int:
    array = getattr(features, name)
    return blocks_within(READ_BYTES, array.dtype.itemsize * int(np.prod(array.shape[1:])))


def _spans(sorted_rows: np.ndarray, max_blocks: int) -> Iterator[tuple[int, int]]:
    """Row ranges [start, stop) of neighbouring blocks that hold the rows."""
    blocks = np.unique(sorted_rows // BLOCK_SIZE)
    index = 0
    while index < len(blocks):
        end = index + 1
        while end < len(blocks) and blocks[end] == blocks[end - 1] + 1 and end - index < max_blocks:
            end += 1
        yield int(blocks[index]) * BLOCK_SIZE, int(blocks[end - 1] + 1) * BLOCK_SIZE
        index = end


def require_usable(usable: np.ndarray, rows: np.ndarray, features: Features, name: str) -> None:
    """Raise DamagedError where a vector of `rows` [video] in the array `name` is none; `usable`
    bool [video ...]."""
    bad = ~usable.reshape(len(rows), -1).all(axis=1)
    if bad.any():
        raise DamagedError(
            f"feature set {features.name} of {features.dataset}: {name} of {int(bad.sum())} videos "
            f"(first: row {int(rows[bad.argmax()])}) are zero or not finite; find out more with "
            "`vifi verify`, make them again with `vifi extract --repair`"
        )
