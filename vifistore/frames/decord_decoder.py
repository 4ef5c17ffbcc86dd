"""Frames through decord (the maintained decord2): the default decoder, and the paper's."""

from pathlib import Path

import numpy as np

from vifistore.frames.by_number import decode_by_number
from vifistore.frames.raw_frames import Plan, RawFrames

# decord hides a frame that fails by repeating the last good one; it raises once more than this
# share of the video was repeated, which is here any frame at all.
_FAULT_TOLERANCE = 1e-9


def decode_decord(path: Path, plan: Plan) -> RawFrames:
    """Frames of the plan; raises DecodeError."""
    return decode_by_number(path, plan, _fetch, "decord")


def _fetch(path: Path, wanted: np.ndarray, num_frames: int) -> np.ndarray | None:
    import decord

    decord.logging.set_level(decord.logging.ERROR)
    try:
        # A single thread: the pool already keeps every core busy.
        reader = decord.VideoReader(str(path), num_threads=1, fault_tol=_FAULT_TOLERANCE)
        # In damaged files it stops at another place in every run, so no part of them is kept.
        return reader.get_batch(wanted).asnumpy() if len(reader) == num_frames else None
    except (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError, AssertionError):
        return None
