"""Random changes: off they are an extraction's pixels, on they fit the frame and the video."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from vifistore.frames.preprocess import preprocess, preprocessing_of, squares_of
from vifistore.training.augment import augment, change_colours, draw_box
from vifistore.training.training_settings import TrainSettings

TOWER = {
    "size": (32, 32),
    "mean": (0.5, 0.4, 0.3),
    "std": (0.25, 0.3, 0.2),
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
OFF = TrainSettings(flip=0.0)
SCALES = (1.0, 0.875, 0.75, 0.66)


@pytest.fixture
def frames() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, 48, 64, 3), dtype=torch.uint8, generator=generator)


def changed(frames, settings, *, name="openclip", seed=0, **kinds) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return augment(frames, preprocessing_of(name, TOWER, 1), settings, rng, **kinds)


@pytest.mark.parametrize("name", ["openclip", "paper"])
def test_off_means_the_pixels_of_an_extraction(frames, name):
    wanted = preprocess(frames, preprocessing_of(name, TOWER, 1), 1)[0]
    assert torch.equal(changed(frames, OFF, name=name), wanted)


def test_squares_that_workers_cut_give_the_same(frames):
    squares = squares_of(preprocessing_of("openclip", TOWER, 1), 1).cut(frames.numpy())[0]
    settings = replace(OFF, flip=0.5, jitter=1.0)
    cut = changed(torch.from_numpy(squares), settings, are_squares=True)
    assert torch.allclose(cut, changed(frames, settings), atol=1e-6)


def test_mirroring_is_of_the_whole_video(frames):
    mirrored = changed(frames, replace(OFF, flip=1.0))
    assert torch.equal(mirrored, changed(frames, OFF).flip(-1))


@pytest.mark.parametrize("name", ["openclip", "paper"])
def test_a_crop_of_the_whole_square_is_the_resized_square(name):
    ramp = torch.linspace(0, 255, 64).to(torch.uint8).view(1, 1, 64, 1).expand(2, 64, 64, 3)
    pixels = changed(ramp, replace(OFF, crop_scales=(1.0,)), name=name)
    assert pixels.shape == (2, 3, 32, 32)
    wanted = preprocess(ramp.contiguous(), preprocessing_of("openclip", TOWER, 1), 1)[0]
    if name == "openclip":
        assert torch.allclose(pixels, wanted, atol=0.05)
    assert (pixels.diff(dim=-1) >= -1e-6).all()


@hypothesis(deadline=None, max_examples=50)
@given(height=st.integers(8, 400), width=st.integers(8, 400), seed=st.integers(0, 999))
def test_boxes_fit_the_frame(height, width, seed):
    top, left, box_height, box_width = draw_box(height, width, SCALES, np.random.default_rng(seed))
    assert 0 <= top <= top + box_height <= height
    assert 0 <= left <= left + box_width <= width
    sides = [int(min(height, width) * scale) for scale in SCALES]
    assert box_height in sides
    assert box_width in sides


def test_sizes_of_boxes_are_those_of_the_paper_and_each_pair_comes_as_often():
    rng = np.random.default_rng(0)
    drawn = Counter(draw_box(256, 340, SCALES, rng)[2:] for _ in range(10_000))
    sides = (256, 224, 192, 168)
    near = {(a, b) for i, a in enumerate(sides) for b in sides[max(0, i - 1) : i + 2]}
    assert drawn.keys() == near
    # Ten pairs: 1,000 each, within five standard deviations of 30.
    assert all(850 < count < 1150 for count in drawn.values())


def test_boxes_lie_in_corners_and_centre():
    rng = np.random.default_rng(0)
    places = {draw_box(100, 100, (0.5,), rng)[:2] for _ in range(100)}
    assert places == {(0, 0), (0, 50), (50, 0), (50, 50), (25, 25)}


def test_colours_change_once_per_video_or_for_every_frame():
    gray = torch.full((4, 3, 8, 8), 0.5)
    once = change_colours(gray, replace(OFF, jitter=1.0), np.random.default_rng(0))
    each = change_colours(
        gray, replace(OFF, jitter=1.0, jitter_each_frame=True), np.random.default_rng(0)
    )
    assert len(once.mean((1, 2, 3)).round(decimals=4).unique()) == 1
    assert len(each.mean((1, 2, 3)).round(decimals=4).unique()) == 4
    assert not torch.allclose(once, gray)


def test_gray_stays_gray_and_white_bounds_hold():
    """Saturation and hue leave a colourless picture as it is; nothing leaves 0 to 1."""
    pixels = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)).expand(2, 3, 8, 8)
    for seed in range(5):
        out = change_colours(pixels, replace(OFF, jitter=1.0), np.random.default_rng(seed))
        assert torch.allclose(out[:, 0], out[:, 1], atol=1e-3)
        assert 0 <= out.min() <= out.max() <= 1


def test_grayscale_takes_the_colours(frames):
    pixels = frames.permute(0, 3, 1, 2).float() / 255
    out = change_colours(pixels, replace(OFF, grayscale=1.0), np.random.default_rng(0))
    assert torch.equal(out[:, 0], out[:, 2])
    # Luma of ITU-R BT.601.
    wanted = pixels[0, :, 3, 5] @ torch.tensor([0.299, 0.587, 0.114])
    assert float(out[0, 0, 3, 5]) == pytest.approx(float(wanted))
