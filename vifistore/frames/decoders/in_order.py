"""Reading every frame of a video in order, which cannot miss one: it seeks nowhere."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from vifistore.errors import DecodeError
from vifistore.frames.bitstreams.lost_time import MOST_STEPS, lost_frames
from vifistore.frames.decoders.kept import WHOLE, Keep
from vifistore.frames.plans import FrameTimes, Plan
from vifistore.frames.raw_frames import Gathering, Read, ReadRGB, clean_seconds

OpenStream = Callable[[], Iterable[tuple[ReadRGB, float | None]]]
"""Begins anew; yields (function that gives the pixels, seconds or None) per frame."""

IN_ORDER = "in-order"
"""The way of reading that is this one."""

# As containers round times.
_SAME_SECONDS = 1e-3
# Of frames that a damaged file gives out of order.
_FEW = 0.02


def read_sequentially(
    open_stream: OpenStream,
    plans: Sequence[Plan],
    *,
    expected: FrameTimes | None,
    declared_frames: int,
    fps: float | None,
    decoder: str,
    keep: Keep = WHOLE,
    has_times: bool = False,
) -> Iterator[Read]:
    """Read every frame in order; yield the frames of each plan, in turn, once they are all there,
    or why it has none.

    Plans are made for the frames that are `expected` (None where nothing is known), of which the
    stream gives the times where it `has_times`. Should it hold others, they are made anew for
    those, once. Raises DecodeError if no frame can be decoded, or they change again.
    """
    times = FrameTimes(np.zeros(1)) if expected is None else expected
    about = {"declared_frames": declared_frames, "decoder": decoder, "way": IN_ORDER}
    for _ in range(2):
        gathering = Gathering(plans, times, keep, **about)
        seconds: list[float | None] = []
        yield from _follow(open_stream(), gathering, seconds, is_told=has_times)
        plans = gathering.plans
        if not plans:
            return
        if not seconds:
            raise DecodeError("short", f"none of its {declared_frames} frames can be decoded")
        times = _found(seconds, fps, expected if has_times else None)
        if gathering.settle(times):
            yield from gathering.take()
            return
    raise DecodeError("decode error", "the decoder gives another number of frames at every read")


def _found(
    seconds: list[float | None], fps: float | None, expected: FrameTimes | None
) -> FrameTimes:
    """Of frames that came, with what was lost of those that were expected to come at some times."""
    if expected is None:
        return FrameTimes(clean_seconds(seconds, fps))
    # Of a few that are missing times are counted by the rate, as other ways of reading do.
    if len(seconds) + MOST_STEPS < len(expected.seconds):
        seconds = _forward(seconds)
    times = clean_seconds(seconds, fps)
    return FrameTimes(times, lost_frames(times, expected.seconds, expected.lost))


def _forward(seconds: list[float | None]) -> list[float | None]:
    """Times of frames of which some are missing. Around these a decoder may give a few in the order
    of decoding, by which it is not to be doubted when all the others are shown."""
    times = np.array(seconds, np.float64)
    are_back = np.diff(times) < 0
    return np.maximum.accumulate(times).tolist() if are_back.mean() < _FEW else seconds


def _follow(
    stream: Iterable[tuple[ReadRGB, float | None]],
    gathering: Gathering,
    seconds: list[float | None],
    *,
    is_told: bool,
) -> Iterator[Read]:
    """Yield what is whole before the stream ends, as long as its times, which are noted in
    `seconds`, are those that are expected."""
    expected, is_sure = gathering.times.seconds, True
    for number, (read_rgb, second) in enumerate(stream):
        seconds.append(second)
        if gathering.wants(number):
            gathering.add(number, read_rgb()[None])
        if is_sure and is_told and number < len(expected):
            is_sure = _is_near(seconds[0], second, expected[number])
        if is_sure:
            yield from gathering.take(number)
        if not gathering.plans:
            return


def _is_near(first: float | None, second: float | None, expected: float) -> bool:
    """Whether a frame is shown so long after the first as is expected."""
    if first is None or second is None:
        return False
    return abs(second - first - expected) < _SAME_SECONDS
