"""ActionCLIP's heads give what their formulas say, written once more in NumPy and float64."""

import numpy as np
import pytest
import torch

from tests.vifistore.training.heads.test_head_poolings import attention, norm, restated
from vifistore.errors import ModelError
from vifistore.models.actionclip.frame_heads import (
    HEADS,
    HeadSizes,
    new_frame_head,
    num_outputs,
    sizes_in,
)

DIM, FRAMES = 64, 5
SIZES = {
    "mean": HeadSizes(head="mean", dim=DIM),
    "transf": HeadSizes(head="transf", dim=DIM, positions=FRAMES, layers=2),
    "lstm": HeadSizes(head="lstm", dim=DIM),
    "conv1d": HeadSizes(head="conv1d", dim=DIM),
    "transf-cls": HeadSizes(head="transf-cls", dim=DIM, positions=FRAMES + 1, layers=2),
}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(w, frames):
    hidden = cell = np.zeros(DIM)
    outputs = []
    for frame in frames:
        gates = w["lstm.weight_ih_l0"] @ frame + w["lstm.bias_ih_l0"]
        gates = gates + w["lstm.weight_hh_l0"] @ hidden + w["lstm.bias_hh_l0"]
        enter, forget, new, leave = np.split(gates, 4)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(new)
        hidden = sigmoid(leave) * np.tanh(cell)
        outputs.append(hidden)
    return np.array(outputs) + frames


def conv1d(w, frames):
    """Its code hands memory that is [frame dim] to the convolution as [dim frame]."""
    rows = np.pad(frames.reshape(DIM, FRAMES), ((0, 0), (1, 1)))
    kernel = w["shift.weight"][:, 0]
    moved = sum(kernel[:, [tap]] * rows[:, tap : tap + FRAMES] for tap in range(3))
    return moved.T + frames


def transf_cls(w, frames):
    x = np.concatenate([w["class_token"], frames]) + w["positions"]
    for layer in range(2):
        own = {k.removeprefix(f"blocks.layers.{layer}."): v for k, v in w.items()}
        x = x + attention(
            x,
            8,
            *(own["self_attn.in_proj_weight"], own["self_attn.in_proj_bias"]),
            *(own["self_attn.out_proj.weight"], own["self_attn.out_proj.bias"]),
        )
        x = norm(x, own["norm1.weight"], own["norm1.bias"], 1e-5)
        hidden = np.maximum(x @ own["linear1.weight"].T + own["linear1.bias"], 0)
        x = x + hidden @ own["linear2.weight"].T + own["linear2.bias"]
        x = norm(x, own["norm2.weight"], own["norm2.bias"], 1e-5)
    return norm(x, w["blocks.norm.weight"], w["blocks.norm.bias"], 1e-5)[:1]


RESTATED = {"mean": lambda w, frames: frames, "lstm": lstm, "conv1d": conv1d}
RESTATED |= {"transf-cls": transf_cls}


def stirred(sizes: HeadSizes) -> torch.nn.Module:
    """A head in float64, away from its first weights, which make some parts the identity."""
    torch.manual_seed(3)
    head = new_frame_head(sizes).double().eval()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return head


@pytest.mark.parametrize("kind", HEADS)
def test_a_head_is_its_formula(kind):
    head, sizes = stirred(SIZES[kind]), SIZES[kind]
    frames = torch.randn(3, FRAMES, DIM, dtype=torch.float64)
    found = head.outputs(frames).detach().numpy()
    assert found.shape == (3, num_outputs(sizes, FRAMES), DIM)
    weights = {key: value.numpy() for key, value in head.state_dict().items()}
    for view, own in zip(frames.numpy(), found, strict=True):
        if kind == "transf":
            expected = restated(head, view, epsilon=1e-12, adds_input=True)
            own = own.mean(0)
        else:
            expected = RESTATED[kind](weights, view)
        np.testing.assert_allclose(own, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", HEADS)
def test_the_weights_tell_which_head_it_is(kind):
    found = sizes_in(new_frame_head(SIZES[kind]).state_dict())
    assert found == (None if kind == "mean" else SIZES[kind])


def test_first_weights_are_the_published_ones():
    torch.manual_seed(0)
    conv = new_frame_head(SIZES["conv1d"]).shift.weight[:, 0]
    assert conv.sum(0).tolist() == [DIM / 4, DIM / 2, DIM / 4]
    assert conv[0].tolist() == [1, 0, 0]
    assert conv[-1].tolist() == [0, 0, 1]
    token = new_frame_head(SIZES["transf-cls"])
    weight = token.blocks.layers[0].linear1.weight.detach()
    # A normal distribution folded back at two deviations.
    assert 0.039 < float(weight.abs().max()) <= 0.04
    assert 0.015 < float(weight.std()) < 0.02
    assert not token.blocks.layers[0].linear1.bias.any()
    transf = new_frame_head(SIZES["transf"])
    assert float(transf.blocks[0].widen.weight.detach().std()) == pytest.approx(0.02, rel=0.03)
    assert float(transf.positions.detach().std()) == pytest.approx(0.02, rel=0.15)


def test_a_view_may_have_fewer_frames_than_a_table_has_rows_but_not_more():
    head = new_frame_head(SIZES["transf"])
    assert head.outputs(torch.randn(1, 2, DIM)).shape == (1, 2, DIM)
    with pytest.raises(ModelError, match=r"6 frames .* --frames 5 or fewer"):
        head.outputs(torch.randn(1, 6, DIM))


def test_dimensions_that_cannot_be_shared():
    with pytest.raises(ModelError, match="12 dimensions cannot be divided among 8"):
        new_frame_head(HeadSizes(head="transf-cls", dim=12, positions=3, layers=1))
