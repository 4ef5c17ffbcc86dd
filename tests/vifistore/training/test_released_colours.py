"""Colours change as torchvision changes them on Pillow images, level for level."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.released import grayed, jittered
from vifistore.training.released_colours import ColourChange, change_levels, gray_levels

NAMES = ("brightness", "contrast", "saturation", "hue")


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """Noise, grays, a real-looking ramp and extremes, uint8 [frame height width 3]."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (5, 40, 30, 3), dtype=np.uint8)
    noise[1] = noise[1][..., :1]
    coarse = Image.fromarray(noise[2, :4, :3]).resize((30, 40), Image.Resampling.BICUBIC)
    noise[2] = np.asarray(coarse)
    noise[3] = 255 * (noise[3] > 127)
    noise[4] = 0
    return noise


def changed(frames: np.ndarray, order: np.ndarray, factors: np.ndarray) -> np.ndarray:
    levels = torch.from_numpy(frames).permute(0, 3, 1, 2)
    return change_levels(levels, ColourChange(order=order, factors=factors)).permute(0, 2, 3, 1)


@pytest.mark.parametrize("number", range(4), ids=NAMES)
@pytest.mark.parametrize("end", [0, 1], ids=["least", "most"])
def test_each_change_is_torchvision_s(frames, number, end):
    factors = np.tile([[0.6, 0.6, 0.8, -0.1], [1.4, 1.4, 1.2, 0.1]][end], (len(frames), 1))
    factors += np.linspace(0, 0.02, len(frames))[:, None] * (1 - 2 * end)
    found = changed(frames, np.full((len(frames), 1), number), factors)
    expected = [jittered(*each) for each in zip(frames, [[number]] * 5, factors, strict=True)]
    np.testing.assert_array_equal(found, np.stack(expected))


def test_every_order_is_torchvision_s(frames):
    rng = np.random.default_rng(1)
    for _ in range(10):
        order = rng.permuted(np.tile(np.arange(4), (len(frames), 1)), axis=1)
        factors = rng.uniform((0.6, 0.6, 0.8, -0.1), (1.4, 1.4, 1.2, 0.1), (len(frames), 4))
        expected = [jittered(*each) for each in zip(frames, order, factors, strict=True)]
        np.testing.assert_array_equal(changed(frames, order, factors), np.stack(expected))


def test_every_hue_and_saturation_turns_as_torchvision_s():
    """All colours whose highest channel is 200: other values scale the same hues."""
    shade = np.arange(201, dtype=np.uint8)
    pairs = np.stack(np.meshgrid(shade, shade, indexing="ij"), -1)
    full = np.full((201, 201, 1), 200, np.uint8)
    frames = np.stack([np.concatenate([full, pairs], -1)] * 3)
    frames[1], frames[2] = np.roll(frames[1], 1, -1), np.roll(frames[2], 2, -1)
    factors = np.array([[1, 1, 1, turn] for turn in (0.1, -0.0995, 0.0039)])
    found = changed(frames, np.full((3, 1), 3), factors)
    expected = [jittered(*each) for each in zip(frames, [[3]] * 3, factors, strict=True)]
    np.testing.assert_array_equal(found, np.stack(expected))


def test_gray_is_torchvision_s(frames):
    found = gray_levels(torch.from_numpy(frames).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    np.testing.assert_array_equal(found, np.stack([grayed(frame) for frame in frames]))
