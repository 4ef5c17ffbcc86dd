"""Frames through torchcodec (0.11 or later, which turns rotated videos upright); optional."""

from pathlib import Path

import numpy as np

from vifistore.frames.by_number import decode_by_number
from vifistore.frames.raw_frames import Plan, RawFrames


def decode_torchcodec(path: Path, plan: Plan) -> RawFrames:
    """Frames of the plan; raises DecodeError."""
    return decode_by_number(path, plan, _fetch, "torchcodec")


def _fetch(path: Path, wanted: np.ndarray, num_frames: int) -> np.ndarray | None:
    from torchcodec.decoders import VideoDecoder

    try:
        # "exact" scans all packets once, so frame numbers are right.
        # A single thread: the pool already keeps every core busy.
        reader = VideoDecoder(
            str(path), dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="exact"
        )
        if len(reader) != num_frames:
            return None
        return reader.get_frames_at(wanted.tolist()).data.numpy()
    except (RuntimeError, ValueError, IndexError):
        return None
