"""preprocess_frames' kernel against the reference; collected by test_kernels_run alone."""

import numpy as np
import pytest
import torch

from vifistore.kernels.dispatch import INTERPRETED, chosen_way
from vifistore.kernels.geometry import OPENCV, PILLOW
from vifistore.kernels.opencv_linear import resize_linear
from vifistore.kernels.preprocess_frames import (
    preprocess_frames,
    preprocess_frames_reference,
    resize_box,
)
from vifistore.kernels.resampling import crop_taps

COLOURS = {"mean": (0.48, 0.45, 0.41), "std": (0.27, 0.26, 0.28)}
# Shrinking and growing, landscape and portrait, and one so high that its height goes first.
SHAPES = [(50, 71), (61, 40), (9, 7), (97, 33), (24, 24)]


def plain(frames, size, short_side, interpolation, antialias, num_crops, backend, dtype):
    geometry = (*frames.shape[1:3], size, short_side, interpolation, antialias, num_crops)
    crops = crop_taps(*geometry, frames.device, backend)
    return preprocess_frames_reference(frames, crops, *COLOURS.values(), dtype)


@pytest.mark.parametrize(
    ("interpolation", "antialias", "backend"),
    [
        ("bicubic", True, PILLOW),
        ("bilinear", True, PILLOW),
        ("bilinear", False, PILLOW),
        ("bilinear", False, OPENCV),
    ],
)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kernel_equals_reference(shape, interpolation, antialias, backend, device):
    frames = torch.randint(0, 256, (2, *shape, 3), dtype=torch.uint8).to(device)
    assert chosen_way(frames).is_kernel
    num_crops = 1 if antialias else 3
    settings = {"interpolation": interpolation, "antialias": antialias, "num_crops": num_crops}
    settings["backend"] = backend
    result = preprocess_frames(frames, size=24, short_side=27, **settings, **COLOURS)
    assert result.shape == (num_crops, 2, 3, 24, 24)
    assert torch.equal(result, plain(frames, 24, 27, *settings.values(), torch.float32))


@pytest.mark.parametrize("box", [(0, 0, 40, 61), (3, 17, 24, 21), (21, 5, 19, 56)], ids=str)
def test_a_box_is_resized_as_opencv_does(box, device):
    frames = torch.randint(0, 256, (2, 40, 61, 3), dtype=torch.uint8)
    top, left, height, width = box
    part = frames[:, top : top + height, left : left + width].numpy()
    expected = np.stack([resize_linear(frame, (24, 24)) for frame in part])
    result = resize_box(frames.to(device), box, 24)
    assert np.array_equal(result.permute(0, 2, 3, 1).cpu().numpy(), expected)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_squashed_frame(shape, device):
    frames = torch.randint(0, 256, (2, *shape, 3), dtype=torch.uint8).to(device)
    result = preprocess_frames(frames, size=24, resize_mode="squash", **COLOURS)
    crops = crop_taps(*shape, 24, 24, "bicubic", True, 1, frames.device, resize_mode="squash")
    expected = preprocess_frames_reference(frames, crops, *COLOURS.values(), torch.float32)
    assert torch.equal(result, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_dtype_of_the_encoder(dtype, device):
    frames = torch.randint(0, 256, (1, 20, 30, 3), dtype=torch.uint8).to(device)
    result = preprocess_frames(frames, size=17, dtype=dtype, **COLOURS)
    expected = plain(frames, 17, 17, "bicubic", True, 1, PILLOW, dtype)
    # The interpreter cuts bfloat16 off instead of rounding it.
    allowed = torch.finfo(dtype).eps if INTERPRETED and dtype == torch.bfloat16 else 0
    torch.testing.assert_close(result, expected, rtol=allowed, atol=0)


def test_frames_need_not_be_contiguous(device):
    frames = torch.randint(0, 256, (4, 30, 20, 3), dtype=torch.uint8).to(device)
    view = frames.flip(3)[::2].transpose(1, 2)
    result = preprocess_frames(view, size=16, **COLOURS)
    assert torch.equal(result, preprocess_frames(view.contiguous(), size=16, **COLOURS))
