"""Frames through decord (the maintained decord2): the default decoder, and the paper's."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vifistore.frames.by_number import decode_by_number
from vifistore.frames.kept import WHOLE, Keep
from vifistore.frames.raw_frames import Plan, RawFrames

# decord hides a frame that fails by repeating the last good one; it raises once more than this
# share of the video was repeated, which is here any frame at all.
_FAULT_TOLERANCE = 1e-9


def decode_decord(path: Path, plan: Plan, keep: Keep = WHOLE) -> RawFrames:
    """Frames of the plan; raises DecodeError."""
    return decode_by_number(path, plan, _fetch, "decord", keep)


def _fetch(path: Path, groups: list[np.ndarray], num_frames: int) -> Iterator[np.ndarray | None]:
    import decord

    decord.logging.set_level(decord.logging.ERROR)
    try:
        # A single thread: the pool already keeps every core busy.
        reader = decord.VideoReader(str(path), num_threads=1, fault_tol=_FAULT_TOLERANCE)
        if len(reader) != num_frames:
            yield None
            return
        # In damaged files it stops at another place in every run, so no part of them is kept.
        for wanted in groups:
            yield reader.get_batch(wanted).asnumpy()
    except (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError, AssertionError):
        yield None
