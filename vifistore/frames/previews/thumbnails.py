"""Small JPEG pictures of videos, for pages: the middle of a video or what it shows at a moment."""

import io
from pathlib import Path

import numpy as np

from vifistore.errors import DecodeError
from vifistore.frames.bitstreams.packets import open_video
from vifistore.frames.bitstreams.shown_frames import (
    TOLERANCE_SECONDS,
    begin_of,
    duration_of,
    frames_from,
    seek,
)
from vifistore.frames.decoders.image_folder import decode_image_folder, list_images
from vifistore.frames.decoders.pyav_decoder import Conversion
from vifistore.frames.plans import Plan, Sampling, Span
from vifistore.frames.raw_frames import FALLBACK_FPS
from vifistore.sources.footage import Footage, Readable, read_or_told
from vifistore.sources.roots import footage_of
from vifistore.store.key_value.durable import put_stages

_QUALITY = 80
# A very long picture (a panorama) stays a picture of the page.
_MAX_RATIO = 4
# Before a moment, where reading begins; None for the start of the file.
_BACK_SECONDS = (0.0, 2.0, 10.0, None)


def thumbnail(
    video: str | Path | Footage, seconds: float | None = None, *, height: int = 96
) -> bytes:
    """JPEG of the frame shown `seconds` after the first one; without, of the middle of the video.

    Upright, `height` pixels high, never enlarged. A moment after the end gives the last frame that
    can be read. `video` is a file or a folder of frames. Raises DecodeError.
    """
    from PIL import Image

    footage = footage_of(video)
    with read_or_told(footage):
        pixels = _frame(footage, seconds)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((height * _MAX_RATIO, height))
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=_QUALITY, optimize=True)
    return buffer.getvalue()


def write_thumbnail(
    video: str | Path | Footage,
    target: str | Path,
    seconds: float | None = None,
    *,
    height: int = 96,
) -> Path:
    """Write `thumbnail` to `target`, whole or not at all, and return it; one that is there stays.

    Raises DecodeError, and OSError where nothing can be written.
    """
    target = Path(target)
    if not target.is_file():
        put_stages([{target: [thumbnail(video, seconds, height=height)]}])
    return target


def _frame(footage: Footage, seconds: float | None) -> np.ndarray:
    if folder := footage.folder:
        return _folder_frame(folder, seconds)
    with footage.at_hand(0) as readable:
        found = _file_frame(readable, seconds)
    if found is None:
        raise DecodeError("decode error", f"{footage}: no frame of it can be decoded")
    return found


def _folder_frame(folder: Path, seconds: float | None) -> np.ndarray:
    num_frames = len(list_images(folder))
    if not num_frames:
        raise DecodeError("empty", f"{folder} holds no JPEG or PNG frames")
    plan = Plan(sampling=Sampling(1))
    if seconds is not None:
        wanted = int((seconds + TOLERANCE_SECONDS) * FALLBACK_FPS)
        start = min(max(wanted, 0), num_frames - 1) / FALLBACK_FPS
        plan = Plan(sampling=Sampling(1, every=1), span=Span(start))
    (raw,) = decode_image_folder(folder, [plan])
    if isinstance(raw, DecodeError):
        raise raw
    return raw.frames[0]


def _file_frame(video: Readable, seconds: float | None) -> np.ndarray | None:
    """One frame or None: from the key frame before it, or from one further back where the container
    finds a later one, as by the times of decoding, or from the start."""
    begin = begin_of(video)
    for back in _BACK_SECONDS:
        container, stream = open_video(video)
        with container:
            wanted = duration_of(container, stream) / 2 if seconds is None else seconds
            if back is not None and not seek(container, stream, max(0, wanted - back), begin):
                continue
            stream.codec_context.thread_count = 1
            for time, frame in frames_from(container, stream, wanted, begin):
                if back is not None and time is not None and time > wanted + TOLERANCE_SECONDS:
                    break
                return Conversion().to_rgb(frame, frame.width, frame.height)
    return None
