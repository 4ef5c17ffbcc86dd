"""Preprocessing by Pillow equals the kernels' reference, number for number."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from vifistore.errors import UsageError
from vifistore.frames.preprocess import normalise, preprocess, preprocessing_of
from vifistore.kernels.preprocess_frames import preprocess_frames

TOWER = {
    "size": (32, 32),
    "mean": (0.4, 0.5, 0.6),
    "std": (0.2, 0.3, 0.25),
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(8, 90),
    width=st.integers(8, 90),
    mode=st.sampled_from([("shortest", 1), ("shortest", 3), ("squash", 1)]),
    interpolation=st.sampled_from(["bicubic", "bilinear"]),
    seed=st.integers(0, 99),
)
def test_pillow_equals_the_reference(height, width, mode, interpolation, seed):
    levels = np.random.default_rng(seed).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    resize_mode, crops = mode
    own = TOWER | {"interpolation": interpolation, "resize_mode": resize_mode}
    recipe = preprocessing_of("openclip", own, crops)
    found = preprocess(torch.from_numpy(levels), recipe, crops)
    expected = preprocess_frames(
        torch.from_numpy(levels),
        size=recipe.size,
        short_side=recipe.short_side,
        mean=recipe.mean,
        std=recipe.std,
        interpolation=interpolation,
        num_crops=crops,
        resize_mode=resize_mode,
    )
    assert found.shape == (crops, 2, 3, 32, 32)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("lead", [(), (1,), (130,), (3, 50), (2, 0)])
def test_normalising_is_the_formula(lead, dtype):
    recipe = preprocessing_of("openclip", TOWER, 1)
    levels = torch.randint(0, 256, (*lead, 4, 5, 3), dtype=torch.uint8)
    mean, std = (torch.tensor(colour) for colour in (recipe.mean, recipe.std))
    expected = ((levels.float() / 255 - mean) / std).movedim(-1, -3).to(dtype)
    assert torch.equal(normalise(levels, recipe, dtype), expected)


class Made(TorchDispatchMode):
    """Counts the tensors that are made of plain numbers, each of which a GPU would wait for."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten.lift_fresh.default
        return func(*args, **(kwargs or {}))


def test_a_device_gets_the_colours_once():
    recipe = preprocessing_of("openclip", TOWER | {"mean": (0.41, 0.5, 0.6)}, 1)
    levels = torch.empty(2, 4, 4, 3, dtype=torch.uint8, device="meta")
    with Made() as first:
        normalise(levels, recipe)
    with Made() as second:
        normalise(levels, recipe)
    assert (first.count, second.count) == (3, 0)


def test_the_papers_preprocessing():
    recipe = preprocessing_of("paper", TOWER | {"size": (224, 224)}, crops=1)
    assert (recipe.size, recipe.short_side, recipe.antialias) == (224, 256, False)
    assert recipe.mean == pytest.approx((0.485, 0.456, 0.406), abs=1e-3)
    assert preprocessing_of("paper", TOWER | {"size": 224}, crops=3).short_side == 224
    # The released code cuts the fraction off: 36.57 here.
    assert preprocessing_of("paper", TOWER, crops=1).short_side == 36


@pytest.mark.parametrize(("crops", "digest"), [(1, "4264728ace0dffff"), (3, "15e4c021392744fe")])
def test_sets_of_the_paper_s_former_preprocessing_are_searched_by_its_pixels(crops, digest):
    """Levels as `paper` had them when Pillow's rules gave its sizes and crops."""
    former = replace(
        preprocessing_of("paper", TOWER, 1),
        **{"short_side": 37, "backend": "pillow-exact", "mean": (0, 0, 0), "std": (1, 1, 1)},
    )
    y, x, channel = np.mgrid[0:45, 0:80, 0:3]
    frame = ((7 * y * y + 5 * x * x + 3 * x * y + 91 * channel) % 256).astype(np.uint8)
    levels = (preprocess(torch.from_numpy(frame[None]), former, crops) * 255).round()
    found = hashlib.sha256(levels.to(torch.uint8).numpy().tobytes()).hexdigest()
    assert found[:16] == digest


def test_what_cannot_be_done_is_refused():
    for own, crops, told in (
        ({"resize_mode": "longest"}, 1, "resizes by 'longest', .* give --resize-mode shortest"),
        ({"resize_mode": "squash"}, 3, "has no 3 crops; give --crops 1"),
        ({"size": (32, 40)}, 1, "sees pictures of .* no squares"),
    ):
        with pytest.raises(UsageError, match=told):
            preprocessing_of("openclip", TOWER | own, crops)
    assert preprocessing_of("openclip", TOWER | {"interpolation": "random"}, 1).interpolation == (
        "bicubic"
    )
