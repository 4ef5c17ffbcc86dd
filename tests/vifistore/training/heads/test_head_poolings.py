"""The poolings give what their formulas say, written once more in NumPy and float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vifistore.errors import ModelError
from vifistore.models.actionclip.temporal_transformer import PoolingShape, new_pooling


def test_dimensions_that_heads_of_attention_cannot_share_are_refused():
    with pytest.raises(ModelError, match="200 dimensions cannot be divided among 3"):
        new_pooling("a5", PoolingShape(dim=200, num_frames=2, layers=1))
    new_pooling("actionclip-mean", PoolingShape(dim=200, num_frames=2, layers=0))


def norm(x, weight, bias, epsilon):
    centred = x - x.mean(-1, keepdims=True)
    return weight * centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon) + bias


def softmax(x):
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def attention(x, num_heads, joint_weight, joint_bias, out_weight, out_bias):
    """Self-attention of the frames `[frame dim]` of one view."""
    query, key, value = np.split(x @ joint_weight.T + joint_bias, 3, axis=-1)
    width = x.shape[-1] // num_heads
    mixed = np.empty_like(x)
    for head in range(num_heads):
        part = slice(head * width, (head + 1) * width)
        weights = softmax(query[:, part] @ key[:, part].T / np.sqrt(width))
        mixed[:, part] = weights @ value[:, part]
    return mixed @ out_weight.T + out_bias


def restated(pooling, frames, *, epsilon, adds_input):
    """One view, frames `[frame dim]` -> `[dim]`, from the weights by name."""
    state = {key: value.double().numpy() for key, value in pooling.state_dict().items()}
    x = frames.astype(np.float64) + state["positions"]
    number = 0
    while f"blocks.{number}.widen.weight" in state:
        w = {k.removeprefix(f"blocks.{number}."): v for k, v in state.items()}
        normed = norm(x, w["attention_norm.weight"], w["attention_norm.bias"], epsilon)
        x = x + attention(
            normed,
            max(1, x.shape[1] // 64),
            *(w["attention.in_proj_weight"], w["attention.in_proj_bias"]),
            *(w["attention.out_proj.weight"], w["attention.out_proj.bias"]),
        )
        hidden = norm(x, w["mlp_norm.weight"], w["mlp_norm.bias"], epsilon)
        hidden = hidden @ w["widen.weight"].T + w["widen.bias"]
        hidden = hidden / (1 + np.exp(-1.702 * hidden))
        x = x + hidden @ w["narrow.weight"].T + w["narrow.bias"]
        number += 1
    return (x + frames if adds_input else x).mean(0)


@settings(deadline=None, max_examples=12)
@given(
    dim=st.sampled_from([64, 128]),
    num_frames=st.integers(1, 5),
    layers=st.integers(1, 3),
    seed=st.integers(0, 99),
)
@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("a5", {"epsilon": 1e-5, "adds_input": False}),
        ("actionclip-transf", {"epsilon": 1e-12, "adds_input": True}),
    ],
)
def test_a_transformer_over_time_is_its_formula(kind, how, dim, num_frames, layers, seed):
    torch.manual_seed(seed)
    pooling = new_pooling(kind, PoolingShape(dim=dim, num_frames=num_frames, layers=layers)).eval()
    # Biases start at zero and norms at one: other values, or nothing would show that they are used.
    for parameter in pooling.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    frames = torch.randn(2, 3, num_frames, dim)
    pooled = pooling(frames).detach().numpy()
    assert pooled.shape == (2, 3, dim)
    for video in range(2):
        for view in range(3):
            expected = restated(pooling, frames[video, view].numpy(), **how)
            np.testing.assert_allclose(pooled[video, view], expected, atol=2e-5, rtol=2e-5)


def test_the_mean_is_the_mean_and_has_no_weights():
    pooling = new_pooling("actionclip-mean", PoolingShape(dim=5, num_frames=3, layers=0))
    frames = torch.randn(2, 3, 5)
    torch.testing.assert_close(pooling(frames), (frames[:, 0] + frames[:, 1] + frames[:, 2]) / 3)
    assert list(pooling.parameters()) == []


@pytest.mark.parametrize(
    ("kind", "layers", "millions"),
    # Published: 3.20 and 6.35 for A5 with one and two blocks, its table of prompts of 77 x 512
    # counted; 18.95 for ActionCLIP, of which 61 x 512 are positions behind the 16th frame.
    [("a5", 1, 3.20), ("a5", 2, 6.35), ("actionclip-transf", 6, 18.95)],
)
def test_as_many_parameters_as_published(kind, layers, millions):
    with torch.device("meta"):
        pooling = new_pooling(kind, PoolingShape(dim=512, num_frames=16, layers=layers))
    beside = 77 * 512 if kind == "a5" else 61 * 512
    counted = sum(parameter.numel() for parameter in pooling.parameters()) + beside
    assert counted / 1e6 == pytest.approx(millions, abs=0.005)


def test_actionclip_starts_its_linear_layers_small_and_without_bias():
    torch.manual_seed(0)
    shape = PoolingShape(dim=128, num_frames=4, layers=1)
    (block,) = new_pooling("actionclip-transf", shape).blocks
    assert block.widen.bias.abs().max() == 0
    assert block.widen.weight.std().item() == pytest.approx(0.02, rel=0.05)
    (other,) = new_pooling("a5", shape).blocks
    assert other.widen.bias.abs().max() > 0
