"""Colour changes as the released code makes them, on 8-bit levels and for all frames at once.

ViFi-CLIP (datasets/pipeline.py, `ColorJitter` and `GrayScale`) hands every frame to torchvision as
a Pillow image. So each change ends in whole levels, and hue is turned in Pillow's 8-bit HSV, where
a full turn has 255 steps. The arithmetic here is Pillow's (libImaging/Blend.c, Convert.c), float32
and float64 where that is, so that levels are equal to its.

All levels are uint8 `[frame 3 height width]`, RGB; factors are `[frame]`, on the same device.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from vifistore.training.uploads import uploaded

# In 1/65536: luma of ITU-R BT.601.
_LUMA = (19595, 38470, 7471)
_HUE_STEPS = 255


@dataclass(frozen=True, kw_only=True)
class ColourChange:
    """What is drawn for a video."""

    order: np.ndarray
    """int `[frame 4]`: the changes in the order they are made, as numbers of `factors`."""
    factors: np.ndarray
    """float `[frame 4]`: of brightness, contrast, saturation, and turns of hue."""


def change_levels(levels: Tensor, change: ColourChange) -> Tensor:
    """Levels `[frame 3 height width]` with brightness, contrast, saturation and hue changed."""
    factors = uploaded(torch.from_numpy(change.factors), levels.device)
    for numbers in change.order.T:
        before, levels = levels, torch.empty_like(levels)
        for number, make in enumerate(_CHANGES):
            chosen = np.flatnonzero(numbers == number)
            if len(chosen) == len(levels):
                levels = make(before, factors[:, number])
            elif len(chosen):
                frames = uploaded(torch.from_numpy(chosen), levels.device)
                levels[frames] = make(before[frames], factors[frames, number])
    return levels


def gray_levels(levels: Tensor) -> Tensor:
    """The luma of every pixel, in all three channels, `[frame 3 height width]`."""
    return _luma(levels).expand_as(levels)


def _luma(levels: Tensor) -> Tensor:
    """uint8 `[frame 1 height width]`."""
    weighted = levels.int() * _luma_weights(levels.device)
    return (weighted.sum(1, keepdim=True) + 0x8000 >> 16).to(torch.uint8)


@lru_cache
def _luma_weights(device: torch.device) -> Tensor:
    """int32 `[1 3 1 1]`, kept: a GPU is waited for where numbers are handed to it."""
    return uploaded(torch.tensor(_LUMA, dtype=torch.int32).view(1, 3, 1, 1), device)


def _brighten(levels: Tensor, factors: Tensor) -> Tensor:
    return _blend(torch.zeros_like(levels), levels, factors)


def _contrast(levels: Tensor, factors: Tensor) -> Tensor:
    mean = _luma(levels).double().mean((1, 2, 3), keepdim=True)
    return _blend((mean + 0.5).to(torch.uint8), levels, factors)


def _saturate(levels: Tensor, factors: Tensor) -> Tensor:
    return _blend(_luma(levels), levels, factors)


def _blend(start: Tensor, end: Tensor, factors: Tensor) -> Tensor:
    """start + factor * (end - start), cut off to whole levels, from 0 to 255."""
    step = factors.float().view(-1, 1, 1, 1) * (end.int() - start.int())
    return (start.int() + step).clamp(0, 255).to(torch.uint8)


def _turn(levels: Tensor, turns: Tensor) -> Tensor:
    """Turn hue by so many turns, cut off to whole steps."""
    hue, saturation, value = _to_hsv(levels)
    steps = (turns.double() * _HUE_STEPS).trunc().view(-1, 1, 1)
    return _to_rgb((hue + steps) % 256, saturation, value)


def _to_hsv(levels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue, saturation and value, whole numbers from 0 to 255 as float64 `[frame height width]`."""
    highest, lowest = levels.amax(1).float(), levels.amin(1).float()
    spread = (highest - lowest).clamp(min=1)
    red, green, blue = ((highest[:, None] - levels) / spread[:, None]).double().unbind(1)
    is_red, is_green = ((levels[:, channel] == highest) for channel in (0, 1))
    sixths = torch.where(is_green, 2 + red - blue, 4 + green - red)
    sixths = torch.where(is_red, blue - green, sixths).float().double()
    hue = ((sixths / 6 + 1) % 1).float().double() * 255
    saturation = ((highest - lowest) / highest.clamp(min=1)).double() * 255
    hue = torch.where(highest == lowest, 0, hue)
    return hue.trunc(), saturation.trunc(), highest.double()


def _to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Levels of what `_to_hsv` gives."""
    sixths = hue * 6 / 255
    part = (sixths - sixths.floor()).float()
    saturation = (saturation / 255).float()
    low = value * (1 - saturation.double())
    falling = value * (1 - (saturation * part).double())
    rising = value * (1 - saturation.double() * (1 - part.double()))
    value, falling, low, rising = (
        (shade + 0.5).to(torch.uint8) for shade in (value, falling, low, rising)
    )
    # What red runs through in the six sixths of a turn; green and blue are at other places of it.
    shades = torch.stack([value, falling, low, low, rising, value])
    sixth = sixths.floor().long()
    return torch.stack([shades.gather(0, (sixth + shift)[None] % 6)[0] for shift in (0, 4, 2)], 1)


_CHANGES: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (_brighten, _contrast, _saturate, _turn)
