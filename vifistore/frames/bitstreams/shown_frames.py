"""The frames of a file from a moment on, in the order they are shown, each with its time."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from vifistore.errors import DecodeError
from vifistore.frames.bitstreams.packets import demux, open_video
from vifistore.frames.raw_frames import FALLBACK_FPS
from vifistore.sources.footage import Footage, Readable, opened

# Times are rounded fractions, in float32 at that; half a millisecond is no other frame.
TOLERANCE_SECONDS = 5e-4
_MOST_FPS = 240.0

Timed = Iterator[tuple[float | None, Any]]
"""Frames of PyAV in the order they are shown, with their seconds where these are known."""


class Reel:
    """What is on the screen at moments that never go back."""

    def __init__(self, frames: Timed, rate: float) -> None:
        """`rate`: frames per second, by which those without a time are counted."""
        self.rate = rate
        """Frames per second."""
        first = next(frames, None)
        self.is_empty = first is None
        """Whether there is no frame."""
        self.begins = None if first is None else first[0]
        """Seconds of the first frame, None where the file gives it none."""
        self._frames = self._forwards(frames if first is None else chain([first], frames))
        self._shown: tuple[float, Any] | None = None
        self._next = next(self._frames, None)

    def at(self, seconds: float) -> Any:
        """The last frame at or before a moment, the first one before it begins; None behind the
        end."""
        while self._next is not None and (
            self._shown is None or self._next[0] <= seconds + TOLERANCE_SECONDS
        ):
            self._shown, self._next = self._next, next(self._frames, None)
        if self._shown is None:
            return None
        time, frame = self._shown
        has_ended = self._next is None and seconds > time + 1 / self.rate - TOLERANCE_SECONDS
        return None if has_ended else frame

    def _forwards(self, frames: Timed) -> Iterator[tuple[float, Any]]:
        """The frames, whose times are counted where there are none, and never stand still."""
        last: float | None = None
        for time, frame in frames:
            if last is not None and (time is None or time <= last):
                time = last + 1 / self.rate
            last = time or 0.0
            yield last, frame


def start_of(stream: Any) -> float:
    """Seconds that the container gives its first frame; moments are counted from there."""
    return float((stream.start_time or 0) * stream.time_base)


def begin_of(video: Readable) -> float | None:
    """Seconds that decoders give the first frame of an AVI file, whose packets tell when they are
    decoded: where pictures refer to later ones, frames come out a little after that, all of them.
    None for other files, of which `start_of` tells it. Raises DecodeError, OSError."""
    with opened(video) as file:
        file.seek(0)
        head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"AVI ":
        return None
    container, stream = open_video(video)
    with container:
        stream.codec_context.thread_count = 1
        first = next(_decoded(container, stream), None)
    return None if first is None else first.time


def seconds_before(footage: Footage) -> float:
    """Seconds that a player shows of a file, of its sound for instance, before the first frame from
    which moments are counted; 0 where the file does not tell."""
    try:
        with footage.at_hand(0) as readable:
            container, stream = open_video(readable)
            with container:
                late = start_of(stream) - (container.start_time or 0) / 1e6
    except (DecodeError, OSError):
        return 0.0
    return max(0.0, late)


def duration_of(container: Any, stream: Any) -> float:
    """Seconds; 0 where the file does not tell."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / 1e6


def rate_of(stream: Any) -> float:
    """Frames per second; FALLBACK_FPS where the file tells none, or one that no camera has."""
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    return rate if 0 < rate <= _MOST_FPS else FALLBACK_FPS


def seek(container: Any, stream: Any, seconds: float, begin: float | None = None) -> bool:
    """Go to the key frame before a moment; False where the container cannot. `begin` is what
    `begin_of` gives."""
    from av.error import FFmpegError

    try:
        place = seconds + (start_of(stream) if begin is None else begin)
        container.seek(max(0, int(place / stream.time_base)), stream=stream)
    except (FFmpegError, OverflowError):
        return False
    return True


def frames_from(container: Any, stream: Any, seconds: float, begin: float | None = None) -> Timed:
    """Time and frame of what is on the screen at a moment, and of all that is shown after it.

    Times are seconds after the first frame, None where the file gives none. Where the container is
    beyond the moment, the first frame there is comes first; behind the end it is the last one.
    `begin` is what `begin_of` gives.
    """
    begin, before = start_of(stream) if begin is None else begin, None
    for frame in _decoded(container, stream):
        time = None if frame.time is None else frame.time - begin
        is_later = time is None or time > seconds + TOLERANCE_SECONDS
        if before is not None and is_later:
            yield before
        before = (time, frame)
    if before is not None:
        yield before


def _decoded(container: Any, stream: Any) -> Iterator[Any]:
    from av.error import FFmpegError

    for packet in demux(container, stream):
        try:
            yield from stream.codec_context.decode(packet)
        except FFmpegError:
            # As the ffmpeg program does: what it refuses is skipped.
            continue
