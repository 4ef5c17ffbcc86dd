"""Frames through PyAV: reads the whole video in order, so it is exact for every file.

Packets that FFmpeg refuses are skipped, as the ffmpeg program does.
"""

import errno
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from vifistore.errors import DecodeError
from vifistore.frames.bitstreams.packets import PacketTable, demux, open_video
from vifistore.frames.decoders.in_order import read_sequentially
from vifistore.frames.decoders.kept import WHOLE, Keep
from vifistore.frames.plans import Plan
from vifistore.frames.raw_frames import Read, ReadRGB
from vifistore.sources.footage import Readable


def read_in_order(
    video: Readable, plans: Sequence[Plan], table: PacketTable, keep: Keep = WHOLE
) -> Iterator[Read]:
    """The frames of each plan of a file whose packets are known, or why it has none; raises
    DecodeError."""
    return read_sequentially(
        lambda: _stream(video),
        plans,
        expected=table.expected,
        has_times=table.has_times,
        declared_frames=table.declared_frames,
        fps=table.fps,
        decoder="pyav",
        keep=keep,
    )


def _stream(video: Readable) -> Iterator[tuple[ReadRGB, float | None]]:
    from av.error import FFmpegError

    failure, size, conversion = "", None, Conversion()
    container, stream = open_video(video)
    with container:
        # One thread: the pool already keeps every core busy.
        stream.codec_context.thread_count = 1
        for packet in demux(container, stream):
            try:
                frames = stream.codec_context.decode(packet)
            except FFmpegError as error:
                failure = f"FFmpeg: {error.strerror}"
                if error.errno == errno.ENOMEM:
                    # No fault of the packet: the frames without it would be another video.
                    raise DecodeError("memory", failure) from error
                continue
            for frame in frames:
                size = size or (frame.width, frame.height)
                yield partial(conversion.to_rgb, frame, *size), frame.time
    if failure and size is None:
        raise DecodeError("decode error", failure)


class Conversion:
    """How frames of one video become RGB, which is set up once: anew for each, it would cost
    several times what converting a small frame does."""

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self.reformatter = VideoReformatter()
        self._is_mirrored: bool | None = None

    def to_rgb(self, frame: Any, width: int, height: int) -> np.ndarray:
        """uint8 [height width 3], upright; a frame of another size is scaled to that of the
        first."""
        converted = self.reformatter.reformat(frame, width, height, "rgb24", threads=1)
        # One that needs no conversion is the decoder's own.
        image = frame.to_ndarray() if converted is frame else _levels(converted)
        turns = quarter_turns(frame)
        image = image[::-1] if self.mirrors(frame) else image
        return np.rot90(image, turns) if turns else image

    def mirrors(self, frame: Any) -> bool:
        """Whether frames are to be mirrored, top to bottom, before they are turned: some cameras
        that look at who holds them ask for it."""
        if self._is_mirrored is None:
            # Of the first alone: PyAV frees no frame at once whose side data were looked at.
            self._is_mirrored = _is_mirrored(frame)
        return self._is_mirrored


def quarter_turns(frame: Any) -> int:
    """By how many quarters, against the clock, a frame is to be turned."""
    # Damaged files hold angles that are none.
    return round(frame.rotation / 90) % 4 if abs(frame.rotation) <= 360 else 0


def _is_mirrored(frame: Any) -> bool:
    # The angle is that of the first row of the matrix alone.
    told = frame.side_data.get("DISPLAYMATRIX")
    if told is None:
        return False
    matrix = np.frombuffer(told, np.int32).reshape(3, 3)[:2, :2].astype(np.float64)
    return bool(matrix[0, 0] * matrix[1, 1] < matrix[0, 1] * matrix[1, 0])


def _levels(frame: Any) -> np.ndarray:
    """uint8 [height width 3] of a PyAV frame in RGB, in its own memory: a copy costs as much as the
    conversion does."""
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height]
    return rows[:, : 3 * frame.width].reshape(frame.height, frame.width, 3)
