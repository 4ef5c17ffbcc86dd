"""Mixing: one ratio or one box for all views, and targets by what is really shown."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vifistore.training.mixing import mix


def constant(
    num_views: int, height: int = 12, width: int = 10
) -> tuple[torch.Tensor, torch.Tensor]:
    """Views `[view 3 3 height width]` whose pixels are their number, and one-hot targets."""
    numbers = torch.arange(num_views, dtype=torch.float32)
    frames = numbers.view(-1, 1, 1, 1, 1).expand(num_views, 3, 3, height, width).contiguous()
    return frames, torch.eye(num_views)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 10_000), num_views=st.integers(1, 6))
def test_targets_say_how_much_of_each_video_is_shown(seed, num_views):
    frames, targets = constant(num_views)
    mixed, shares = mix(frames, targets, np.random.default_rng(seed))
    assert shares.sum(1).tolist() == pytest.approx([1.0] * num_views)
    # Pixels are the numbers of videos, so their mean is the mean of the numbers by share.
    shown = mixed.mean((1, 2, 3, 4))
    assert shown.tolist() == pytest.approx(
        (shares @ torch.arange(num_views).float()).tolist(), abs=1e-4
    )
    assert torch.equal(frames, constant(num_views)[0])


def test_both_kinds_occur_and_a_box_is_one_for_all_frames():
    kinds = set()
    for seed in range(20):
        mixed, _ = mix(*constant(4), np.random.default_rng(seed))
        is_box = bool((mixed == mixed.round()).all())
        kinds.add(is_box)
        if is_box:
            moved = mixed != constant(4)[0]
            assert (moved == moved[:, :1, :1]).all()
            changed = moved[moved.flatten(1).any(1)]
            assert all(torch.equal(changed[0], other) for other in changed)
    assert kinds == {True, False}


def test_the_same_draw_twice():
    first, second = (mix(*constant(5), np.random.default_rng(7)) for _ in range(2))
    assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))
