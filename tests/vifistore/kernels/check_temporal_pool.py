"""temporal_pool's kernels against the reference; collected by test_kernels_run alone."""

import pytest
import torch
from torch.autograd.gradcheck import GradcheckError

from vifistore.kernels import temporal_pool as module
from vifistore.kernels.dispatch import H100, INTERPRETED, Card, chosen_way
from vifistore.kernels.temporal_pool import (
    pool_and_round,
    pool_and_round_reference,
    temporal_pool,
    temporal_pool_reference,
)

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
# Leading axes, one frame, odd sizes, more frames than one tile holds, the largest width.
SHAPES = [(3, 7, 33), (2, 3, 1, 17), (5, 1), (2, 19, 600), (1, 3, 2047)]


def frames_like(shape, dtype, device):
    generator = torch.Generator().manual_seed(sum(shape))
    frames = torch.randn(shape, generator=generator, dtype=torch.float64) * 3
    frames[..., -1, :] = 0
    return frames.to(dtype).to(device)


def mask_like(frames):
    generator = torch.Generator().manual_seed(0)
    mask = torch.rand(frames.shape[:-1], generator=generator) > 0.4
    mask.view(-1, mask.shape[-1])[0] = False
    return mask.to(frames.device)


def assert_same(result, expected):
    """The same sums: a GPU adds in another order where memory is laid out otherwise."""
    close = 0 if INTERPRETED else 1e-6
    torch.testing.assert_close(result, expected, rtol=close, atol=close)


def results(pool, frames, mask):
    """Both outputs and the gradient of a sum that weighs every element differently."""
    frames = frames.clone().requires_grad_()
    mean, consensus = pool(frames, mask)
    weights = torch.linspace(-1, 2, mean.numel(), dtype=mean.dtype, device=mean.device)
    total = (mean.flatten() * weights).sum() + (consensus.flatten() * weights.flip(0)).sum()
    (grad,) = torch.autograd.grad(total, frames)
    return mean, consensus, grad


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kernel_is_as_close_as_plain_pytorch(shape, dtype, masked, device, assert_close):
    frames = frames_like(shape, dtype, device)
    mask = mask_like(frames) if masked else None
    assert chosen_way(frames).is_kernel
    exact = results(temporal_pool_reference, frames.double(), mask)
    plain = results(temporal_pool_reference, frames, mask)
    for values in zip(results(temporal_pool, frames, mask), plain, exact, strict=True):
        assert_close(*values)


@pytest.mark.parametrize("masked", [False, True])
def test_a_program_goes_through_several_views(masked, device, monkeypatch):
    frames = frames_like((7, 19, 600), torch.float16, device)
    mask = mask_like(frames) if masked else None
    expected = temporal_pool(frames, mask)
    monkeypatch.setattr(module, "PROGRAMS", 3)
    monkeypatch.setattr(module, "card_of", lambda tensor: Card(1, H100.shared_bytes))
    for result, wanted in zip(temporal_pool(frames, mask), expected, strict=True):
        assert_same(result, wanted)


@pytest.mark.parametrize("masked", [False, True])
def test_gradcheck(masked, device):
    frames = torch.randn(2, 3, 2, dtype=torch.float64, device=device, requires_grad=True)
    mask = torch.tensor([[True, False, True], [True, True, True]], device=device)
    assert temporal_pool(frames)[0].grad_fn.name() == "TemporalPoolFunctionBackward"
    mask = mask if masked else None
    assert torch.autograd.gradcheck(lambda x: temporal_pool(x, mask), frames, rtol=1e-5)


def test_gradcheck_rejects_a_wrong_backward(device, monkeypatch):
    right = module.temporal_pool_backward
    monkeypatch.setattr(module, "temporal_pool_backward", lambda *args: right(*args) * 1.01)
    frames = torch.randn(1, 2, 3, dtype=torch.float64, device=device, requires_grad=True)
    with pytest.raises(GradcheckError):
        torch.autograd.gradcheck(temporal_pool, frames)


def test_frames_need_not_be_contiguous(device):
    frames = torch.randn(5, 9, 4, device=device)
    for view in (frames.transpose(0, 1), frames.transpose(1, 2), frames[:, ::2, 1:]):
        for result, copied in zip(temporal_pool(view), temporal_pool(view.clone()), strict=True):
            assert_same(result, copied)


def test_nan_in_a_masked_frame_stays_out(device):
    frames = torch.randn(1, 3, 4, device=device)
    mask = torch.tensor([[True, False, True]], device=device)
    expected = temporal_pool(frames[:, ::2])
    frames[0, 1] = float("nan")
    for result, wanted in zip(temporal_pool(frames, mask), expected, strict=True):
        torch.testing.assert_close(result, wanted)


@pytest.mark.parametrize("dtype", DTYPES[:3], ids=str)
def test_pool_and_round(dtype, device, assert_close):
    frames = frames_like((2, 3, 19, 33), dtype, device)
    stored, *pooled = pool_and_round(frames.requires_grad_())
    assert torch.equal(stored, frames.detach().to(torch.float16))
    assert not any(result.requires_grad for result in (stored, *pooled))
    exact = temporal_pool_reference(stored.double())
    for values in zip(pooled, pool_and_round_reference(frames)[1:], exact, strict=True):
        assert_close(*values)
    for result, again in zip(pooled, temporal_pool(stored), strict=True):
        assert_same(result, again)
