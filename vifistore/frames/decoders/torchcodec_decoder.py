"""Frames through torchcodec (0.11 or later, which turns rotated videos upright); optional."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np


def load_torchcodec() -> None:
    """Import torchcodec. Raises ImportError, also where FFmpeg's libraries are missing: from 0.14
    on it is imported without them, for pictures, and then fails at every video."""
    import_module("torchcodec.decoders")
    if getattr(import_module("torchcodec"), "ffmpeg_major_version", 0) is None:
        raise ImportError("it finds no shared libraries of FFmpeg")


def fetch_torchcodec(
    path: Path, groups: list[np.ndarray], num_frames: int
) -> Iterator[np.ndarray | None]:
    """Groups of frames, uint8 [frame height width 3]; see `by_number.Fetch`."""
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
