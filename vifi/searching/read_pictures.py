"""Pictures as queries, read with care: whoever gives one may have made it to do harm."""

import struct
from io import BytesIO
from pathlib import Path

import numpy as np

from vifistore.errors import UsageError
from vifistore.files import open_regular

# A file of some kilobytes may claim any size; no camera's picture has more pixels.
_MOST_PIXELS = 80_000_000
# What Pillow raises for broken files; the last for what a camera wrote about a picture.
_UNREADABLE = (OSError, SyntaxError, ValueError, struct.error)
# Of Pillow's formats those that pictures come in; others start programs or are read from afar.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")


def read_picture(source: Path | bytes) -> np.ndarray:
    """The picture of a file, or of its content: uint8 [height width 3], upright.

    Raises UsageError for what is none, and for one of too many pixels.
    """
    from PIL import Image, ImageOps

    name = source if isinstance(source, Path) else "what was given"
    try:
        with (
            open_regular(source) if isinstance(source, Path) else BytesIO(source) as file,
            Image.open(file, formats=_FORMATS) as image,
        ):
            if image.width * image.height > _MOST_PIXELS:
                raise ValueError(f"it has {image.width} x {image.height} pixels")
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except (*_UNREADABLE, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UsageError(
            f"{name} is not a picture that can be read ({error}); give a JPEG or PNG file"
        ) from error
