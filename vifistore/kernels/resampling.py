"""Weights of image resizing: the taps of one axis, for the sizes and crops of `geometry`.

Pillow (`libImaging/Resample.c`) resizes uint8 images one axis after the other, with weights in
fixed point and an 8-bit image in between; OpenCV does as `opencv_linear` says. The same integers
are used here, so results are equal to theirs, not only close.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from vifistore.errors import UnknownNameError
from vifistore.kernels.geometry import (
    OPENCV,
    PILLOW,
    check_resizing,
    crop_corners,
    is_height_first,
    shape_after,
)
from vifistore.kernels.opencv_linear import (
    LEVEL_SHIFT,
    LINE_SHIFT,
    LINEAR_WEIGHT_BITS,
    PRODUCT_SHIFT,
    linear_taps,
)

# Videos of the web come in hundreds of sizes, each with its own taps of some tens of kilobytes.
_KEPT_SIZES = 1024

# 32-bit sums of 8-bit pixels leave two bits for the overshoot of negative lobes.
WEIGHT_BITS = 32 - 8 - 2


@dataclass(frozen=True, kw_only=True)
class Rounding:
    """How a sum of weighted levels becomes a level.

    level = (sum of (input * weight >> product_shift) + half) >> sum_shift, from 0 to `largest`
    """

    product_shift: int
    half: int
    sum_shift: int
    largest: int
    """The highest level, 8 bits deep or, between OpenCV's passes, 15."""

    @property
    def dtype(self) -> torch.dtype:
        """What holds the levels."""
        return torch.uint8 if self.largest < 256 else torch.int16


_PILLOW = Rounding(product_shift=0, half=1 << (WEIGHT_BITS - 1), sum_shift=WEIGHT_BITS, largest=255)
_OPENCV_COLUMNS = Rounding(
    product_shift=0,
    half=0,
    sum_shift=LINE_SHIFT,
    largest=255 << (LINEAR_WEIGHT_BITS - LINE_SHIFT),
)
_OPENCV_ROWS = Rounding(
    product_shift=PRODUCT_SHIFT, half=1 << (LEVEL_SHIFT - 1), sum_shift=LEVEL_SHIFT, largest=255
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Taps:
    """What the outputs of one axis read: `weights[o, k]` of input `first + starts[o] + k`.

    Inputs before `first` and from `end` on are what lies at the edge.
    """

    first: int
    """First input position that is read."""
    end: int
    """The position after the last one that is read."""
    starts: Tensor
    """First input of each output, counted from `first`, int32 `[output]`."""
    weights: Tensor
    """Weights in fixed point, zero-padded, int32 `[output tap]`."""
    rounding: Rounding = _PILLOW
    """What becomes of their sums."""

    def cut(self, start: int, size: int, device: torch.device) -> "Taps":
        """Those of `size` outputs from `start` on, on a device."""
        starts, weights = self.starts[start : start + size], self.weights[start : start + size]
        first = max(int(starts.min()), 0)
        return replace(
            self,
            first=self.first + first,
            end=min(self.first + int(starts.max()) + weights.shape[1], self.end),
            # Else a GPU would finish all that it was given before.
            starts=(starts - first).to(device, non_blocking=True),
            weights=weights.contiguous().to(device, non_blocking=True),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class CropTaps:
    """How one crop is made from a frame."""

    rows: Taps
    columns: Taps
    height_first: bool
    """Whether rows are resized before columns; levels are rounded between the two."""


def bicubic(distance: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = -0.5, at distances `[...]` in pixels."""
    x = distance.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * -0.5
    return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def bilinear(distance: Tensor) -> Tensor:
    """Triangle of half width one, at distances `[...]` in pixels."""
    return (1 - distance.abs()).clamp(min=0)


FILTERS = {"bicubic": (bicubic, 2.0), "bilinear": (bilinear, 1.0)}


def axis_taps(in_size: int, out_size: int, interpolation: str, antialias: bool) -> Taps:
    """Pillow's taps that resize one axis from `in_size` to `out_size`.

    With `antialias` the filter widens by the factor of shrinking; without it, which Pillow does not
    offer, the nearest taps alone are read. Raises UnknownNameError for an unknown interpolation.
    """
    if interpolation not in FILTERS:
        raise UnknownNameError("interpolation", interpolation, FILTERS)
    kernel, half_width = FILTERS[interpolation]
    scale = in_size / out_size
    stretch = max(scale, 1.0) if antialias else 1.0
    support = half_width * stretch
    centres = (torch.arange(out_size, dtype=torch.float64) + 0.5) * scale
    starts = (centres - support + 0.5).trunc().clamp(min=0)
    ends = (centres + support + 0.5).trunc().clamp(max=in_size)
    taps = starts[:, None] + torch.arange(int((ends - starts).max()), dtype=torch.float64)
    weights = kernel((taps - centres[:, None] + 0.5) / stretch)
    weights = torch.where(taps < ends[:, None], weights, 0.0)
    weights = weights / weights.sum(1, keepdim=True)
    scaled = weights * (1 << WEIGHT_BITS)
    rounded = (scaled + 0.5 * scaled.sign()).trunc()
    return Taps(first=0, end=in_size, starts=starts.int(), weights=rounded.int())


def opencv_taps(in_size: int, out_size: int, *, are_rows: bool) -> Taps:
    """OpenCV's taps that resize one axis from `in_size` to `out_size`."""
    starts, weights = linear_taps(in_size, out_size, are_rows=are_rows)
    return Taps(
        first=0,
        end=in_size,
        starts=torch.from_numpy(starts),
        weights=torch.from_numpy(weights),
        rounding=_OPENCV_ROWS if are_rows else _OPENCV_COLUMNS,
    )


def box_taps(box: tuple[int, int, int, int], size: int, device: torch.device) -> CropTaps:
    """How OpenCV makes a square of a box of frames: top, left, height, width."""
    top, left, height, width = box
    rows, columns = _kept_taps(height, size, True, device), _kept_taps(width, size, False, device)
    return CropTaps(
        rows=replace(rows, first=top, end=top + height),
        columns=replace(columns, first=left, end=left + width),
        height_first=False,
    )


@lru_cache(maxsize=_KEPT_SIZES)
def _kept_taps(length: int, size: int, are_rows: bool, device: torch.device) -> Taps:
    return opencv_taps(length, size, are_rows=are_rows).cut(0, size, device)


@lru_cache(maxsize=_KEPT_SIZES)
def crop_taps(
    height: int,
    width: int,
    size: int,
    short_side: int,
    interpolation: str,
    antialias: bool,
    num_crops: int,
    device: torch.device,
    backend: str = PILLOW,
    resize_mode: str = "shortest",
) -> tuple[CropTaps, ...]:
    """Taps of each crop of frames of `height` x `width` pixels, kept for the next call."""
    check_resizing(backend, interpolation, antialias)
    out_height, out_width = shape_after((height, width), size, short_side, resize_mode, backend)
    if backend == OPENCV:
        rows = opencv_taps(height, out_height, are_rows=True)
        columns = opencv_taps(width, out_width, are_rows=False)
        height_first = False
    else:
        rows = axis_taps(height, out_height, interpolation, antialias)
        columns = axis_taps(width, out_width, interpolation, antialias)
        height_first = is_height_first((height, width), (out_height, out_width))
    return tuple(
        CropTaps(
            rows=rows.cut(top, size, device),
            columns=columns.cut(left, size, device),
            height_first=height_first,
        )
        for top, left in crop_corners(out_height, out_width, size, num_crops, backend)
    )
