"""What a video's header says of it, without decoding a frame.

The numbers describe a dataset and plan the work; extraction counts the frames it reads itself. Any
file may be broken or hostile, so a failure gives zeros and a value that cannot be true is zero.
"""

import math
import re
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import av
from av import VideoStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition

from vifistore.containers import open_container
from vifistore.sources.extensions import frames_in
from vifistore.sources.footage import Footage, Readable, Stamp
from vifistore.sources.remote_file import RangeFile
from vifistore.sources.roots import footage_of

# Reading a broken file may fall into long searches for a next frame.
_TIMEOUT_SECONDS = 20.0
_DURATION = re.compile(r"(\d{1,6}):(\d\d):(\d\d(?:\.\d+)?)", re.ASCII)
_MATROSKA = "matroska,webm"
_LARGEST_SIDE = 1 << 16
_LARGEST_COUNT = 1 << 40

# What PyAV raises on broken files; the last two where it could not make an object of a header.
_FAILURES = (
    FFmpegError,
    OSError,
    ValueError,
    ArithmeticError,
    LookupError,
    MemoryError,
    RuntimeError,
    AttributeError,
    TypeError,
)


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A video's header; every field is 0 where the file does not tell."""

    num_frames: int = 0
    """Frames declared, or duration times frame rate; the images of a folder of frames."""
    fps: float = 0.0
    """Average frames per second."""
    duration_seconds: float = 0.0
    """Length of the video stream, or of the file where the stream does not say."""
    width: int = 0
    """Pixels as stored, before any rotation that the header asks for."""
    height: int = 0
    """Pixels as stored, before any rotation that the header asks for."""
    size_bytes: int = 0
    """Size of the file, or of all images of a folder."""
    mtime_ns: int = 0
    """Last change in nanoseconds since 1970, the latest one of a folder's images."""


def probe(video: str | Path | Footage) -> Probe:
    """The header of a video file or of a folder of frames. Never raises."""
    footage = footage_of(video)
    try:
        if folder := footage.folder:
            return _probe_frames(folder, footage.stamp())
        with footage.at_hand(0) as readable:
            # Whoever gives a range tells both with it.
            stamp = readable.stamp if isinstance(readable, RangeFile) else footage.stamp()
            header = _header(readable)
    except (OSError, ValueError):
        return Probe()
    return replace(header, size_bytes=stamp.size_bytes, mtime_ns=max(0, stamp.mtime_ns))


def probe_all(videos: Iterable[str | Path | Footage], num_workers: int = 4) -> Iterator[Probe]:
    """Probes in the order of the videos, made by `num_workers` threads a little ahead of use."""
    remaining = iter(videos)
    with ThreadPoolExecutor(num_workers) as pool:
        waiting = deque(pool.submit(probe, video) for video in islice(remaining, 8 * num_workers))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(probe, video) for video in islice(remaining, 1))
            yield result


def _header(video: Readable) -> Probe:
    """What the header of a file says; zeros where it cannot be read."""
    try:
        with open_container(video, _TIMEOUT_SECONDS) as container:
            return _numbers(container)
    except _FAILURES:
        return Probe()


def _numbers(container: InputContainer) -> Probe:
    # FFmpeg's choice of several, which is what decoders take; a cover is its last one.
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        return Probe()
    fps = _sane(float(stream.average_rate or stream.guessed_rate or 0), 100_000)
    duration = stream.duration * stream.time_base if stream.duration and stream.time_base else None
    seconds = _tagged(stream) if duration is None else float(duration)
    seconds = seconds or (container.duration or 0) / av.time_base
    if duration is None and container.format.name == _MATROSKA and stream.time_base:
        # Both tell when the last frame ends, by a clock that the first need not begin at 0.
        seconds -= max(0.0, float((stream.start_time or 0) * stream.time_base))
    seconds = _sane(seconds, _LARGEST_COUNT)
    frames = _sane(stream.frames or round(seconds * fps), _LARGEST_COUNT)
    return Probe(
        num_frames=int(frames),
        fps=fps,
        duration_seconds=seconds,
        width=int(_sane(stream.codec_context.width, _LARGEST_SIDE)),
        height=int(_sane(stream.codec_context.height, _LARGEST_SIDE)),
    )


def _tagged(stream: VideoStream) -> float:
    """Seconds that Matroska's tag gives a stream, whose header knows only those of the file."""
    match = _DURATION.fullmatch(stream.metadata.get("DURATION", ""))
    if not match:
        return 0.0
    hours, minutes, seconds = map(float, match.groups())
    return 3600 * hours + 60 * minutes + seconds


def _sane(value: float, largest: float) -> float:
    return value if math.isfinite(value) and 0 < value <= largest else 0


def _probe_frames(folder: Path, stamp: Stamp) -> Probe:
    images = frames_in(folder)
    if not images:
        return Probe()
    first = _header(folder / min(images))
    return Probe(
        num_frames=len(images),
        width=first.width,
        height=first.height,
        size_bytes=stamp.size_bytes,
        mtime_ns=max(0, stamp.mtime_ns),
    )
