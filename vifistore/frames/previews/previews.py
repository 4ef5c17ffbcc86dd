"""Short silent pieces of a video in a form that every browser plays: H.264 in MP4, or VP8 in WebM.

    with PieceMaker(footage) as maker:
        first = maker.piece(begin=8.0, end=10.0, kind="mp4")     # bytes
        second = maker.piece(begin=10.0, end=12.0, kind="mp4")   # goes on where the first ended

A piece shows its frames at an even rate, from time 0 on: at each moment the last frame at or before
it. It begins with a key frame, so that pieces follow one another in whatever order they were made.
"""

import io
import math
from contextlib import ExitStack
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self, cast

from vifistore.errors import UsageError
from vifistore.frames.bitstreams.packets import open_video
from vifistore.frames.bitstreams.shown_frames import (
    TOLERANCE_SECONDS,
    Reel,
    Timed,
    begin_of,
    duration_of,
    frames_from,
    rate_of,
    seek,
)
from vifistore.frames.decoders.image_folder import list_images, read_image
from vifistore.frames.decoders.pyav_decoder import Conversion, quarter_turns
from vifistore.frames.raw_frames import FALLBACK_FPS
from vifistore.sources.footage import Footage, read_or_told

Kind = Literal["mp4", "webm"]
KINDS: tuple[Kind, ...] = ("mp4", "webm")

_MOST_FPS, _LEAST_FPS = 30, 10
_MOST_WIDTH, _MOST_HEIGHT = 854, 480
# A pixel that is wider than this is no pixel: the header is wrong.
_MOST_PIXEL_RATIO = 4
DECODER_THREADS = 2
# Levels of 16 to 235, which players expect of what does not tell.
_VIDEO_RANGE = "MPEG"
# Containers without an index may come to a place behind the one sought, by seconds.
_BACK_SECONDS = (0.0, 2.0, 10.0, math.inf)
# By so much the durations of headers are wrong.
_ROUGHLY_SECONDS = 1.0
# Decoding on costs less than seeking, and a seek may go back by more.
_SKIPPED_SECONDS = 2.0
_CODECS: dict[Kind, str] = {"mp4": "libx264", "webm": "libvpx"}
# Quick before small: a piece is watched once or twice, by who waits for it.
_ENCODER_OPTIONS: dict[Kind, dict[str, str]] = {
    "mp4": {"preset": "ultrafast", "crf": "24", "tune": "zerolatency", "threads": "1"},
    "webm": {"deadline": "realtime", "cpu-used": "8", "crf": "16", "b": "2M", "threads": "1"},
}
# A piece of its own, which may be appended to another.
_MUXER_OPTIONS: dict[Kind, dict[str, str]] = {
    "mp4": {"movflags": "empty_moov+default_base_moof+frag_keyframe"},
    "webm": {},
}


@cache
def kinds_made_here() -> tuple[Kind, ...]:
    """The kinds that this PyAV has an encoder for, the better first."""
    import av

    return tuple(kind for kind in KINDS if _CODECS[kind] in av.codecs_available)


class PieceMaker:
    """Makes pieces of one video, those that follow one another without decoding anything twice."""

    def __init__(self, footage: Footage) -> None:
        self._footage = footage
        self._open = ExitStack()
        self._reel: Reel | None = None
        self._at = 0.0
        self._begin: float | None = None
        self._knows_begin = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the video."""
        self._reel = None
        self._open.close()

    def piece(self, *, begin: float, end: float, kind: Kind) -> bytes:
        """The video between two moments, in seconds after its first frame; empty where it has ended
        before.

        Raises DecodeError for a video that cannot be read, UsageError for a kind that PyAV has no
        encoder for.
        """
        if kind not in kinds_made_here():
            raise UsageError(
                f"this PyAV has no encoder {_CODECS[kind]}; install one that has: pip install av"
            )
        try:
            with read_or_told(self._footage):
                if not (self._reel and 0 <= begin - self._at <= _SKIPPED_SECONDS):
                    self.close()
                    self._reel = self._reel_at(begin)
                self._at = end
                return _encode(self._reel, begin, end, kind)
        except BaseException:
            self.close()
            raise

    def _reel_at(self, begin: float) -> Reel:
        if folder := self._footage.folder:
            return Reel(_folder_frames(folder, begin), FALLBACK_FPS)
        readable = self._open.enter_context(self._footage.at_hand(0))
        if not self._knows_begin:
            self._begin, self._knows_begin = begin_of(readable), True
        for back in _BACK_SECONDS:
            container, stream = open_video(readable)
            self._open.enter_context(container)
            stream.codec_context.thread_count = DECODER_THREADS
            stream.codec_context.thread_type = "AUTO"
            place = begin - back
            if place > 0 and not seek(container, stream, place, self._begin):
                continue
            frames = frames_from(container, stream, begin, self._begin)
            reel = Reel(frames, rate_of(stream))
            # In a file without times a place is only found by counting from the start.
            ends = duration_of(container, stream)
            is_behind = reel.is_empty and place - _ROUGHLY_SECONDS > ends > 0
            if place <= 0 or is_behind or (reel.begins is not None and reel.begins <= begin):
                return reel
        raise AssertionError("from its start a video is read without seeking")


def _folder_frames(folder: Path, begin: float) -> Timed:
    import av

    images = list_images(folder)
    for number in range(math.floor(begin * FALLBACK_FPS), len(images)):
        pixels = read_image(images[number])
        yield number / FALLBACK_FPS, av.VideoFrame.from_ndarray(pixels, format="rgb24")


def _encode(reel: Reel, begin: float, end: float, kind: Kind) -> bytes:
    import av
    from av.video.frame import PictureType

    fps, file, conversion = _even_rate(reel.rate), io.BytesIO(), Conversion()
    container, encoder = None, cast(Any, None)
    for tick in range(math.ceil((end - begin) * fps - TOLERANCE_SECONDS)):
        frame = reel.at(begin + float(tick / fps))
        if frame is None:
            break
        if container is None:
            container = av.open(file, "w", format=kind, options=_MUXER_OPTIONS[kind])
            encoder = cast(Any, container).add_stream(
                _CODECS[kind], fps, options=_ENCODER_OPTIONS[kind]
            )
            encoder.width, encoder.height = _shown_size(frame)
            encoder.pix_fmt = "yuv420p"
        picture = _picture(frame, encoder.width, encoder.height, conversion)
        picture.pts, picture.time_base = tick, 1 / fps
        picture.pict_type = PictureType.NONE if tick else PictureType.I
        container.mux(encoder.encode(picture))
    if container is not None:
        container.mux(encoder.encode(None))
        container.close()
    return file.getvalue()


def _even_rate(rate: float) -> Fraction:
    """A rate of 10 to 30 frames per second, which takes every n-th frame of a higher one."""
    kept = rate / math.ceil(rate / _MOST_FPS)
    return Fraction(max(kept, _LEAST_FPS)).limit_denominator(1001)


def _shown_size(frame: Any) -> tuple[int, int]:
    """Width and height, even numbers, of a frame as it is to be seen, never enlarged."""
    ratio = _pixel_ratio(frame)
    width, height = frame.width * max(ratio, 1.0), frame.height / min(ratio, 1.0)
    if quarter_turns(frame) % 2:
        width, height = height, width
    shrunk = min(1.0, _MOST_WIDTH / width, _MOST_HEIGHT / height)
    return max(2, 2 * round(width * shrunk / 2)), max(2, 2 * round(height * shrunk / 2))


def _pixel_ratio(frame: Any) -> float:
    """Width by height of a pixel."""
    ratio = float(getattr(frame, "sample_aspect_ratio", None) or 1)
    return ratio if 1 / _MOST_PIXEL_RATIO <= ratio <= _MOST_PIXEL_RATIO else 1.0


def _picture(frame: Any, width: int, height: int, conversion: Conversion) -> Any:
    """A frame as the encoder takes it, upright."""
    import av
    import numpy as np

    turns = quarter_turns(frame)
    if not turns and not conversion.mirrors(frame):
        wanted = {"format": "yuv420p", "dst_color_range": _VIDEO_RANGE, "threads": 1}
        picture = conversion.reformatter.reformat(frame, width, height, **wanted)
        # The decoder's own frame may be shown once more, and by it later ones are decoded.
        return picture if picture is not frame else _copy(frame)
    before = (height, width) if turns % 2 else (width, height)
    pixels = np.ascontiguousarray(conversion.to_rgb(frame, *before))
    return av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuv420p", threads=1)


def _copy(frame: Any) -> Any:
    return type(frame).from_ndarray(frame.to_ndarray(), format="yuv420p")
