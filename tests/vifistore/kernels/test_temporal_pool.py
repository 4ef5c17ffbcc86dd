"""What temporal_pool means, on any machine."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from vifistore.kernels.temporal_pool import pool_and_round, temporal_pool

FRAMES = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=4, max_side=5),
    elements=st.floats(-100, 100).map(lambda value: round(value, 3)),
)


def expected(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.linalg.norm(frames, axis=-1, keepdims=True)
    directions = np.divide(frames, lengths, out=np.zeros_like(frames), where=lengths > 0)
    return frames.mean(-2), directions.mean(-2)


@settings(deadline=None, max_examples=50)
@given(frames=FRAMES)
def test_mean_and_consensus_are_what_the_formula_says(frames):
    for result, wanted in zip(temporal_pool(torch.tensor(frames)), expected(frames), strict=True):
        assert result.dtype == torch.float64
        assert result.shape == frames.shape[:-2] + frames.shape[-1:]
        np.testing.assert_allclose(result, wanted, rtol=1e-12, atol=1e-12)


@settings(deadline=None, max_examples=50)
@given(frames=FRAMES.filter(lambda frames: frames.ndim == 2), data=st.data())
def test_a_mask_is_as_if_the_other_frames_were_not_there(frames, data):
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(frames), max_size=len(frames))))
    wanted = [np.zeros(frames.shape[1])] * 2 if not mask.any() else expected(frames[mask])
    spoiled = np.where(mask[:, None], frames, np.nan)
    results = temporal_pool(torch.tensor(spoiled), torch.tensor(mask))
    for result, value in zip(results, wanted, strict=True):
        np.testing.assert_allclose(result, value, rtol=1e-12, atol=1e-12)


def test_zero_frame_adds_nothing_to_the_consensus_and_has_a_finite_gradient():
    frames = torch.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
    mean, consensus = temporal_pool(frames)
    torch.testing.assert_close(consensus, torch.tensor([0.3, 0.4]))
    (grad,) = torch.autograd.grad(mean.sum() + consensus.sum(), frames)
    assert grad.isfinite().all()
    # Only the mean reaches a frame that has no direction.
    torch.testing.assert_close(grad[1], torch.tensor([0.5, 0.5]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_sums_are_float32_and_gradients_have_the_dtype_of_the_frames(dtype):
    frames = torch.full((1, 300, 3), 300.0, dtype=dtype, requires_grad=True)
    mean, consensus = temporal_pool(frames)
    assert mean.dtype == consensus.dtype == torch.float32
    torch.testing.assert_close(mean, frames[:, 0].float())
    (grad,) = torch.autograd.grad(mean.sum(), frames)
    assert grad.dtype == dtype


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_pooling_what_was_stored_again_gives_the_same(dtype):
    frames = torch.randn(2, 3, 7, 20, dtype=dtype)
    stored, mean, consensus = pool_and_round(frames)
    assert torch.equal(stored, frames.half())
    again = temporal_pool(stored)
    assert torch.equal(mean, again[0])
    assert torch.equal(consensus, again[1])


def test_no_views_and_no_frames():
    assert [result.shape for result in temporal_pool(torch.empty(0, 3, 4))] == [(0, 4), (0, 4)]
    assert all(result.eq(0).all() for result in temporal_pool(torch.empty(2, 0, 4)))
