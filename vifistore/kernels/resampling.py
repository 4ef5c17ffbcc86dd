"""Weights of image resizing: the taps of one axis, for the sizes and crops of `geometry`.

The rules are those of OpenCLIP's evaluation transform, which is torchvision's `Resize` and
`CenterCrop` on Pillow images. Pillow (`libImaging/Resample.c`) resizes uint8 images one axis after
the other, with weights in fixed point and an 8-bit image in between. The same integers are used
here, so results are equal to Pillow's, not only close.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from vifistore.errors import UnknownNameError
from vifistore.kernels.geometry import crop_corners, is_height_first, shape_after

# Videos of the web come in hundreds of sizes, each with its own taps of some tens of kilobytes.
_KEPT_SIZES = 1024

# 32-bit sums of 8-bit pixels leave two bits for the overshoot of negative lobes.
WEIGHT_BITS = 32 - 8 - 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Taps:
    """What the outputs of one axis read: `weights[o, k]` of input `first + starts[o] + k`."""

    first: int
    """First input position that is read."""
    end: int
    """The position after the last one that is read."""
    starts: Tensor
    """First input of each output, counted from `first`, int32 `[output]`."""
    weights: Tensor
    """Fixed-point weights with WEIGHT_BITS fractional bits, zero-padded, int32 `[output tap]`."""

    def cut(self, start: int, size: int, device: torch.device) -> "Taps":
        """Those of `size` outputs from `start` on, on a device."""
        starts, weights = self.starts[start : start + size], self.weights[start : start + size]
        first = int(starts.min())
        return Taps(
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
    """Keys' cubic convolution kernel with a = -0.5."""
    x = distance.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * -0.5
    return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def bilinear(distance: Tensor) -> Tensor:
    """Triangle of half width one."""
    return (1 - distance.abs()).clamp(min=0)


FILTERS = {"bicubic": (bicubic, 2.0), "bilinear": (bilinear, 1.0)}


def axis_taps(in_size: int, out_size: int, interpolation: str, antialias: bool) -> Taps:
    """Taps that resize one axis from `in_size` to `out_size`.

    With `antialias` the filter widens by the factor of shrinking, as in Pillow; without it the
    nearest taps alone are read, as in OpenCV's INTER_LINEAR.
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
    resize_mode: str = "shortest",
) -> tuple[CropTaps, ...]:
    """Taps of each crop of frames of `height` x `width` pixels, kept for the next call."""
    out_height, out_width = shape_after((height, width), size, short_side, resize_mode)
    rows = axis_taps(height, out_height, interpolation, antialias)
    columns = axis_taps(width, out_width, interpolation, antialias)
    height_first = is_height_first((height, width), (out_height, out_width))
    return tuple(
        CropTaps(
            rows=rows.cut(top, size, device),
            columns=columns.cut(left, size, device),
            height_first=height_first,
        )
        for top, left in crop_corners(out_height, out_width, size, num_crops)
    )
