"""What tells whether the frames of a block are those that were read before: its checksums."""

import hashlib

import numpy as np

from vifistore.errors import DamagedError
from vifistore.store.feature_record import NUM_VALID
from vifistore.store.features import Features
from vifistore.store.key_value.durable import parallel
from vifistore.store.zarr_format.block_ranges import num_blocks
from vifistore.store.zarr_format.layout import Layout

_CHECKSUM_BYTES = 4


def block_states(features: Features) -> np.ndarray:
    """Of each block of 64 videos the stored checksums of its `frames`, `num_valid` and `status`,
    uint32 [block 3]; 0 where there is none.

    Where another program laid the arrays out, blocks have those of the whole set, so that all of
    them change at once. Raises UsageError for a set without frames, DamagedError for a chunk that
    is too short.
    """
    features.require_array("frames")
    backend, blocks = features.store.backend, range(num_blocks(features.num_videos))
    states = np.zeros((len(blocks), 3), np.uint32)
    names = ("frames", NUM_VALID, "status") if features.has_num_valid else ("frames", "status")
    for column, name in enumerate(names):
        path = features.array_path(name)
        grid = backend.layout(path)
        if not isinstance(grid, Layout):
            states[:] = _whole(features)
            return states

        def read(block: int, column=column, path=path, grid=grid) -> None:
            try:
                tail = backend.tail(grid.key(path, block), _CHECKSUM_BYTES)
            except DamagedError as error:
                if isinstance(error.__cause__, FileNotFoundError):
                    return
                raise
            states[block, column] = int.from_bytes(tail, "little")

        parallel(read, blocks, backend.place.threads(grid.size * grid.row_bytes))
    return states


def _whole(features: Features) -> np.ndarray:
    """uint32 [3]"""
    digest = hashlib.sha256(str(features.sealed).encode() + features.read_status().tobytes())
    return np.frombuffer(digest.digest()[:12], np.uint32)
