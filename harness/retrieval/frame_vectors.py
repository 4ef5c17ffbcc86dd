"""The frames of a feature set as vectors of unit length, those that only pad a view left out.

A frame is known by the row of its video and its position there: view * T + frame, where a view
holds T frames.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.fusion import is_usable, unit
from harness.vector_reading import READ_BYTES
from vifistore.errors import DamagedError
from vifistore.store.features import Features
from vifistore.store.pooling import counted_frames
from vifistore.store.schema import BLOCK_SIZE, DONE
from vifistore.store.zarr_format.block_ranges import blocks_within, num_blocks, stretches


@dataclass(frozen=True, kw_only=True)
class FrameVectors:
    """Frames of neighbouring videos, in order."""

    rows: np.ndarray
    """int64 [frame]: the video of each."""
    positions: np.ndarray
    """int64 [frame]: its place in the video, view * T + frame."""
    vectors: np.ndarray
    """float32 [frame dim], of unit length."""


def frame_vectors(
    features: Features, status: np.ndarray, blocks: range | None = None
) -> Iterator[FrameVectors]:
    """Yield all frames that count of the videos that are done, some tens of mebibytes at a time.

    status: uint8 [video], of the set. blocks: those of 64 videos to read, all by default. Raises
    UsageError for a set without frames, DamagedError for a chunk that does not match its checksum
    and for a frame that is zero or not finite.
    """
    views, num_frames, dim = features.require_array("frames").shape[1:]
    most = blocks_within(READ_BYTES, views * num_frames * dim * 2)
    blocks = range(num_blocks(len(status))) if blocks is None else blocks
    first, last = blocks.start * BLOCK_SIZE, min(blocks.stop * BLOCK_SIZE, len(status))
    for start, stop in stretches(first, last, most):
        counts = counted_frames(features.read("num_valid", start, stop), num_frames)
        counts &= (status[start:stop] == DONE)[:, None, None]
        if counts.any():
            yield _unit_frames(features, start, stop, counts.reshape(stop - start, -1))


def _unit_frames(features: Features, start: int, stop: int, counts: np.ndarray) -> FrameVectors:
    frames = features.read("frames", start, stop)
    places, positions = np.nonzero(counts)
    vectors = frames.reshape(*counts.shape, -1)[places, positions].astype(np.float32)
    if not (usable := is_usable(vectors)).all():
        raise DamagedError(
            f"feature set {features.name} of {features.dataset}: a frame of row "
            f"{start + int(places[usable.argmin()])} is zero or not finite; find out more with "
            "`vifi verify`, make it again with `vifi extract --repair`"
        )
    return FrameVectors(rows=start + places, positions=positions, vectors=unit(vectors))
