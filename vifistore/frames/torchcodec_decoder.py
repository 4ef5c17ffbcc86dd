"""Frames through torchcodec (0.11 or later, which turns rotated videos upright); optional."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np


def fetch_torchcodec(
    path: Path, groups: list[np.ndarray], num_frames: int
) -> Iterator[np.ndarray | None]:
    """Groups of frames, uint8 [frame height width 3]; see `vifistore.frames.by_number.Fetch`."""
    # An extra: it may be absent where types are checked.
    from torchcodec.decoders import VideoDecoder  # pyright: ignore[reportMissingImports]

    try:
        # "exact" scans all packets once, so frame numbers are right.
        # A single thread: the pool already keeps every core busy.
        reader = VideoDecoder(
            str(path), dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="exact"
        )
        if len(reader) != num_frames:
            yield None
            return
        for wanted in groups:
            yield reader.get_frames_at(wanted.tolist()).data.numpy()
    except (RuntimeError, ValueError, IndexError):
        yield None
