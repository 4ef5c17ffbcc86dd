"""Squares cut from resized frames: what an encoder on the CPU sees, still as levels.

Imports no torch, so that decode workers can do it: a square of 224 is far smaller than the frame
it comes from, and the cores that compute the tower are left alone. Decoders could scale as well,
but none of them gives the levels of Pillow or OpenCV, so none is asked to.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from vifistore.kernels.geometry import (
    OPENCV,
    PILLOW,
    crop_corners,
    is_height_first,
    shape_after,
)
from vifistore.kernels.opencv_linear import Window, resize_linear

_METHODS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True, kw_only=True)
class Squares:
    """Resize the shorter side, then cut squares, as Pillow (with antialias) or OpenCV do it."""

    size: int
    """Side of a square, pixels."""
    short_side: int
    """The shorter side after resizing, pixels."""
    interpolation: str
    """`bicubic` or `bilinear`; OpenCV's is bilinear."""
    crops: int
    """1 (centre) or 3 (left, centre, right)."""
    backend: str = PILLOW
    """Which of the two, as recipes name it."""
    resize_mode: str = "shortest"
    """`shortest`, or `squash`: both sides become `size`."""

    def cut(self, frames: np.ndarray) -> np.ndarray:
        """uint8 [frame height width 3] -> uint8 [crop frame size size 3].

        Raises UsageError for a square that does not fit.
        """
        before = frames.shape[1:3]
        after = shape_after(before, self.size, self.short_side, self.resize_mode, self.backend)
        corners = crop_corners(*after, self.size, self.crops, self.backend)
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
        (top, left), (bottom, right) = corners[0], corners[-1]
        window = (top, left, bottom + self.size, right + self.size)
        if self.backend == OPENCV:
            return resize_linear(frame, after, window), top, left
        return self._pillow_band(frame, after, window)

    def _pillow_band(
        self, frame: np.ndarray, after: tuple[int, int], window: Window
    ) -> tuple[np.ndarray, int, int]:
        method, (height, width) = _METHODS[self.interpolation], after
        top, left, bottom, right = window
        image = Image.fromarray(frame)
        # One axis at a time, as Pillow itself does; what no square shows is dropped in between.
        if is_height_first(frame.shape[:2], after):
            image = image.resize((image.width, height), method).crop((0, top, image.width, bottom))
            return np.asarray(image.resize((width, bottom - top), method)), top, 0
        image = image.resize((width, image.height), method).crop((left, 0, right, image.height))
        return np.asarray(image.resize((right - left, height), method)), 0, left
