"""Random changes of a training video, made on the device that its frames lie on.

As in ViFi-CLIP's code (datasets/pipeline.py): a crop of several scales, mirroring, colours.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from vifistore.frames.preprocess import normalise, preprocess
from vifistore.kernels.geometry import OPENCV
from vifistore.kernels.preprocess_frames import colours, resize_box
from vifistore.store.recipe import Preprocessing
from vifistore.training.released_colours import ColourChange, change_levels, gray_levels
from vifistore.training.training_settings import TrainSettings
from vifistore.training.uploads import uploaded

_BRIGHTNESS, _CONTRAST, _SATURATION, _HUE = 0.4, 0.4, 0.2, 0.1
# Luma of ITU-R BT.601, and the two chroma axes of YIQ that hue turns.
_GRAY = (0.299, 0.587, 0.114)
_YIQ = (_GRAY, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


def augment(
    frames: Tensor,
    preprocessing: Preprocessing,
    settings: TrainSettings,
    rng: np.random.Generator,
    *,
    are_squares: bool = False,
) -> Tensor:
    """uint8 `[frame height width 3]` -> normalised float32 `[frame 3 size size]`.

    With all changes off these are the pixels of an extraction, and nothing is drawn. Frames that
    `are_squares` are resized and cropped already; others, where crops are drawn, are no larger than
    these need.
    """
    if not settings.crop_scales:
        if are_squares:
            pixels = normalise(frames, preprocessing)
        else:
            pixels = preprocess(frames, preprocessing, 1)[0]
        mean, std, _ = colours(tuple(preprocessing.mean), tuple(preprocessing.std), pixels.device)
        if settings.jitter or settings.grayscale:
            levels = change_colours(pixels * std + mean, settings, rng)
            pixels = (levels - mean) / std
    else:
        levels = change_colours(_crop(frames, preprocessing, settings, rng), settings, rng)
        mean, std, _ = colours(tuple(preprocessing.mean), tuple(preprocessing.std), levels.device)
        pixels = (levels - mean) / std
    if settings.flip and rng.random() < settings.flip:
        pixels = pixels.flip(-1)
    return pixels


def draw_box(
    height: int,
    width: int,
    scales: tuple[float, ...],
    rng: np.random.Generator,
    *,
    released_size: int = 0,
) -> tuple[int, int, int, int]:
    """Top, left, height and width of a crop, pixels.

    Its sides are scales of the shorter side, every pair of neighbours in `scales` or equals as
    often; it lies in one of the four corners or in the centre. With `released_size`, the side of
    the tower's square, it is one of ViFi-CLIP's MultiScaleCrop: sides less than 3 from that become
    it, and what is left beside the crop is taken in whole quarters.
    """
    levels = range(len(scales))
    pairs = [(row, column) for row in levels for column in levels if abs(row - column) <= 1]
    pair = pairs[int(rng.integers(len(pairs)))]
    short = min(height, width)
    sides = [max(1, int(short * scales[level])) for level in pair]
    corner = ((0, 0), (0, 1), (1, 0), (1, 1), (0.5, 0.5))[int(rng.integers(5))]
    if released_size:
        sides = [released_size if abs(side - released_size) < 3 else side for side in sides]
    rests = [length - side for length, side in zip((height, width), sides, strict=True)]
    if released_size:
        rests = [rest // 4 * 4 for rest in rests]
    top, left = (int(rest * share) for rest, share in zip(rests, corner, strict=True))
    return top, left, sides[0], sides[1]


def _crop(
    frames: Tensor, preprocessing: Preprocessing, settings: TrainSettings, rng: np.random.Generator
) -> Tensor:
    """A random crop as float32 `[frame 3 size size]`, 0 to 1."""
    size, is_opencv = preprocessing.size, preprocessing.backend == OPENCV
    released_size = size if is_opencv else 0
    height, width = frames.shape[1:3]
    box = draw_box(height, width, settings.crop_scales, rng, released_size=released_size)
    if is_opencv:
        return resize_box(frames, box, size).float().div_(255)
    top, left, height, width = box
    part = frames[:, top : top + height, left : left + width].permute(0, 3, 1, 2).float()
    resized = torch.nn.functional.interpolate(
        part,
        size=(size, size),
        mode=preprocessing.interpolation,
        antialias=preprocessing.antialias,
    )
    # A cubic filter overshoots at edges.
    return resized.clamp_(0, 255).div_(255)


def change_colours(pixels: Tensor, settings: TrainSettings, rng: np.random.Generator) -> Tensor:
    """Change brightness, contrast, saturation and hue of `[frame 3 height width]`, 0 to 1."""
    if settings.jitter and rng.random() < settings.jitter:
        num = len(pixels) if settings.jitter_each_frame else 1
        jitter = _released_jitter if settings.released_data else _jitter
        pixels = jitter(pixels, num, rng)
    if settings.grayscale and rng.random() < settings.grayscale:
        if settings.released_data:
            return gray_levels(_levels(pixels)) / 255
        pixels = _gray(pixels).expand_as(pixels)
    return pixels


def _jitter(pixels: Tensor, num: int, rng: np.random.Generator) -> Tensor:
    """Saturation and hue are one linear map, scaling and turning the chroma plane of YIQ."""
    # All of it before the first change: a GPU that has begun with one would be waited for.
    drawn = [_factors(rng, spread, num) for spread in (_BRIGHTNESS, _CONTRAST, _SATURATION)]
    angle = torch.from_numpy(rng.uniform(-_HUE, _HUE, num) * 2 * math.pi)
    turn = _chroma_map(drawn[2].flatten().double(), angle).to(pixels.dtype)
    brightness, contrast, turn = (
        uploaded(factors, pixels.device) for factors in (*drawn[:2], turn)
    )
    pixels = (pixels * brightness).clamp(0, 1)
    mean = _gray(pixels).mean((2, 3), keepdim=True)
    pixels = (mean + (pixels - mean) * contrast).clamp(0, 1)
    turn = turn.expand(len(pixels), 3, 3)
    return torch.einsum("foc,fchw->fohw", turn, pixels).clamp(0, 1)


def _released_jitter(pixels: Tensor, num: int, rng: np.random.Generator) -> Tensor:
    """On 8 bits, hue in HSV, in an order that is drawn as well."""
    order = rng.permuted(np.tile(np.arange(4), (num, 1)), axis=1)
    spreads = np.array([_BRIGHTNESS, _CONTRAST, _SATURATION, _HUE])
    factors = rng.uniform(-spreads, spreads, (num, 4)) + np.array([1, 1, 1, 0])
    repeats = len(pixels) // num
    change = ColourChange(order=order.repeat(repeats, 0), factors=factors.repeat(repeats, 0))
    return change_levels(_levels(pixels), change) / 255


def _levels(pixels: Tensor) -> Tensor:
    return (pixels * 255).round_().to(torch.uint8)


def _factors(rng: np.random.Generator, spread: float, num: int) -> Tensor:
    """float32 `[frame 1 1 1]`, or one for all frames."""
    drawn = rng.uniform(1 - spread, 1 + spread, num).astype(np.float32)
    return torch.from_numpy(drawn).view(-1, 1, 1, 1)


def _gray(pixels: Tensor) -> Tensor:
    return (pixels * _gray_weights(pixels.device)).sum(1, keepdim=True)


@lru_cache
def _gray_weights(device: torch.device) -> Tensor:
    """`[1 3 1 1]`, kept: a GPU is waited for where numbers are handed to it."""
    return uploaded(torch.tensor(_GRAY).view(1, 3, 1, 1), device)


def _chroma_map(saturation: Tensor, angle: Tensor) -> Tensor:
    """RGB to RGB, float64 `[frame 3 3]`."""
    yiq = torch.tensor(_YIQ, dtype=torch.float64)
    turn = torch.zeros(len(angle), 3, 3, dtype=torch.float64)
    cos, sin = saturation * angle.cos(), saturation * angle.sin()
    turn[:, 0, 0] = 1
    turn[:, 1, 1], turn[:, 1, 2] = cos, -sin
    turn[:, 2, 1], turn[:, 2, 2] = sin, cos
    return yiq.inverse() @ turn @ yiq
