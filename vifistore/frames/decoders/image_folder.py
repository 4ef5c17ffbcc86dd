"""A folder of JPEG or PNG frames, read as one video.

The frames are in natural order of their names (frame2 before frame10). Such a folder has no
times: `FALLBACK_FPS` (25) frames per second are assumed.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vifistore.errors import DecodeError
from vifistore.files import open_regular
from vifistore.frames.decoders.kept import WHOLE, FramePiece, Keep
from vifistore.frames.plans import FrameTimes, Plan
from vifistore.frames.raw_frames import FALLBACK_FPS, Gathering, RawFrames, Read

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png"}
# Pillow's name of grey of 16 bits (depth, infrared), of which it would make white whatever is above
# 255; of colours of 16 bits it takes the upper 8.
_DEEP_GREY = "I;16"


def list_images(folder: Path) -> list[Path]:
    """The frames of a folder in natural order of their names; a link that leads nowhere is one,
    which cannot be read, but a folder, a pipe or a device is none, whatever its name."""
    images = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith(".")
        # Asked last: only of what is called a picture.
        and (path.is_file() or not path.exists())
    ]
    return sorted(images, key=lambda path: (_natural_key(path.name), path.name))


def decode_image_folder(folder: Path, plans: Sequence[Plan], keep: Keep = WHOLE) -> Iterator[Read]:
    """The frames of each plan, or why it has none; unreadable images are left out and the plans
    made anew, once.

    Raises DecodeError if no image can be read.
    """
    images = list_images(folder)
    declared = len(images)
    done = 0
    try:
        for raw in _read_plans(images, plans, declared, keep):
            yield raw
            done += not isinstance(raw, FramePiece)
    except _UnreadableError:
        images = [image for image in images if _is_readable(image)]
        if not images:
            told = f"none of its {declared} images can be read"
            raise DecodeError("decode error", told) from None
        for raw in _read_plans(images, plans[done:], declared, keep):
            yield replace(raw, was_retried=True) if isinstance(raw, RawFrames) else raw


class _UnreadableError(DecodeError):
    """One image cannot be read."""


def _read_plans(
    images: list[Path], plans: Sequence[Plan], declared: int, keep: Keep
) -> Iterator[Read]:
    times = FrameTimes(np.arange(len(images)) / FALLBACK_FPS)
    gathering = Gathering(plans, times, keep, declared_frames=declared, decoder="pillow")
    yield from gathering.take()
    for number in gathering.wanted.tolist():
        gathering.add(number, read_image(images[number])[None])
        yield from gathering.take()


def read_image(path: Path) -> np.ndarray:
    """uint8 [height width 3], upright. Raises DecodeError."""
    from PIL import Image, ImageOps

    try:
        with open_regular(path) as file, Image.open(file) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode == _DEEP_GREY:
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            return np.asarray(upright.convert("RGB"))
    except (
        OSError,
        SyntaxError,
        ValueError,
        struct.error,  # of a broken EXIF block
        Image.DecompressionBombError,
    ) as error:
        raise _UnreadableError("decode error", f"image {path.name}: {error}") from None


def _is_readable(path: Path) -> bool:
    try:
        read_image(path)
    except DecodeError:
        return False
    return True


def _natural_key(name: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]
