"""A folder of JPEG or PNG frames, read as one video.

The frames are in natural order of their names (frame2 before frame10). Such a folder has no
times: `FALLBACK_FPS` (25) frames per second are assumed.
"""

import re
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np

from vifistore.errors import DecodeError
from vifistore.files import open_regular
from vifistore.frames.kept import WHOLE, Keep, KeptFrames
from vifistore.frames.raw_frames import FALLBACK_FPS, Plan, RawFrames, split_plan

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png"}


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


def decode_image_folder(folder: Path, plan: Plan, keep: Keep = WHOLE) -> RawFrames:
    """Frames of the plan; unreadable images are left out and the plan is made anew, once.

    Raises DecodeError if no image can be read.
    """
    images = list_images(folder)
    declared = len(images)
    try:
        return _read_plan(images, plan, declared, keep)
    except DecodeError:
        images = [image for image in images if _is_readable(image)]
    if not images:
        raise DecodeError("decode error", f"none of its {declared} images can be read")
    return replace(_read_plan(images, plan, declared, keep), was_retried=True)


def _read_plan(images: list[Path], plan: Plan, declared: int, keep: Keep) -> RawFrames:
    wanted, index = split_plan(plan(len(images)))
    kept = KeptFrames(keep, len(wanted))
    for number in wanted:
        kept.add(_read_image(images[number])[None])
    return RawFrames(
        kept=kept,
        index=index,
        seconds=wanted / FALLBACK_FPS,
        num_frames=len(images),
        declared_frames=declared,
        decoder="pillow",
    )


def _read_image(path: Path) -> np.ndarray:
    from PIL import Image, ImageOps

    try:
        with open_regular(path) as file, Image.open(file) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (
        OSError,
        SyntaxError,
        ValueError,
        struct.error,  # of a broken EXIF block
        Image.DecompressionBombError,
    ) as error:
        raise DecodeError("decode error", f"image {path.name}: {error}") from None


def _is_readable(path: Path) -> bool:
    try:
        _read_image(path)
    except DecodeError:
        return False
    return True


def _natural_key(name: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]
