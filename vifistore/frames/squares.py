"""Squares cut from resized frames, by Pillow: what an encoder on the CPU sees, still as levels.

Imports no torch, so that decode workers can do it: a square of 224 is far smaller than the frame
it comes from, and the cores that compute the tower are left alone. Decoders could scale as well,
but none of them gives Pillow's levels, so none is asked to.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from vifistore.kernels.geometry import crop_corners, is_height_first, shape_after

_METHODS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True, kw_only=True)
class Squares:
    """Resize the shorter side, then cut squares; antialiased, as Pillow does it."""

    size: int
    """Side of a square, pixels."""
    short_side: int
    """The shorter side after resizing, pixels."""
    interpolation: str
    """`bicubic` or `bilinear`."""
    crops: int
    """1 (centre) or 3 (left, centre, right)."""
    resize_mode: str = "shortest"
    """`shortest`, or `squash`: both sides become `size`."""

    def cut(self, frames: np.ndarray) -> np.ndarray:
        """uint8 [frame height width 3] -> uint8 [crop frame size size 3].

        Raises UsageError for a square that does not fit.
        """
        before = frames.shape[1:3]
        after = shape_after(before, self.size, self.short_side, self.resize_mode)
        corners = crop_corners(*after, self.size, self.crops)
        levels = np.empty((self.crops, len(frames), self.size, self.size, 3), np.uint8)
        for number, frame in enumerate(frames):
            band, first_top, first_left = self._band(frame, after, corners)
            for crop, (top, left) in enumerate(corners):
                rows, columns = top - first_top, left - first_left
                levels[crop, number] = band[rows : rows + self.size, columns : columns + self.size]
        return levels

    def _band(
        self, frame: np.ndarray, after: tuple[int, int], corners: list[tuple[int, int]]
    ) -> tuple[np.ndarray, int, int]:
        """The resized frame between the outermost squares, and its top and left."""
        method, (height, width) = _METHODS[self.interpolation], after
        image = Image.fromarray(frame)
        # One axis at a time, as Pillow itself does; what no square shows is dropped in between.
        if is_height_first(frame.shape[:2], after):
            top, end = corners[0][0], corners[-1][0] + self.size
            image = image.resize((image.width, height), method)
            image = image.crop((0, top, image.width, end)).resize((width, end - top), method)
            return np.asarray(image), top, 0
        left, end = corners[0][1], corners[-1][1] + self.size
        image = image.resize((width, image.height), method)
        image = image.crop((left, 0, end, image.height)).resize((end - left, height), method)
        return np.asarray(image), 0, left
