"""MixUp and CutMix of videos: one ratio or one box for a whole forward pass and all its frames.

MixUp (Zhang et al. 2018) adds a second video with the ratio 1 - r, r drawn from Beta(0.8, 0.8);
CutMix (Yun et al. 2019) shows it in a box whose area is that share of the frame, r from Beta(1, 1).
Targets are mixed by the same ratio, CutMix's by the area that the box really has. The numbers, and
even odds for the two, are those of ViFi-CLIP's code (datasets/blending.py).
"""

import math

import numpy as np
import torch
from torch import Tensor

from vifistore.training.uploads import uploaded

_MIXUP_BETA, _CUTMIX_BETA = 0.8, 1.0


def mix(frames: Tensor, targets: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Mix each video with another: frames `[view frame 3 height width]`, targets `[view class]`, on
    one device.

    Neither is changed in place. A video may be drawn as its own partner.
    """
    cut = rng.random() < 0.5
    beta = _CUTMIX_BETA if cut else _MIXUP_BETA
    ratio = float(rng.beta(beta, beta))
    partners = uploaded(torch.from_numpy(rng.permutation(len(frames))), frames.device)
    if cut:
        frames, ratio = _paste(frames, partners, ratio, rng)
    else:
        frames = torch.lerp(frames[partners], frames, ratio)
    return frames, torch.lerp(targets[partners], targets, ratio)


def _paste(
    frames: Tensor, partners: Tensor, ratio: float, rng: np.random.Generator
) -> tuple[Tensor, float]:
    """Partners in one box of all frames, and the share that is left of the video itself."""
    height, width = frames.shape[-2:]
    top, bottom = _span(height, ratio, rng)
    left, right = _span(width, ratio, rng)
    frames, source = frames.clone(), frames
    box = (..., slice(top, bottom), slice(left, right))
    frames[box] = source[partners][box]
    return frames, 1 - (bottom - top) * (right - left) / (height * width)


def _span(length: int, ratio: float, rng: np.random.Generator) -> tuple[int, int]:
    """Where a box of the area 1 - ratio lies along one axis; the frame's edge may cut it."""
    size = int(length * math.sqrt(1 - ratio))
    centre = int(rng.integers(length))
    return max(centre - size // 2, 0), min(centre + size // 2, length)
