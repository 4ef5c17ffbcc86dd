"""Packed towers give what plain ones give."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vifistore.models.packed import PackedAttention, PackedLinear, can_pack, pack
from vifistore.models.towers import load_model

pytestmark = pytest.mark.skipif(not can_pack(), reason="this CPU does not multiply bfloat16")


@pytest.fixture(scope="module")
def tower() -> torch.nn.Module:
    return load_model("vifi-tiny", "none").clip.visual.eval()


def error(found: torch.Tensor, exact: torch.Tensor) -> float:
    return float((found.float() - exact).norm() / exact.norm())


@settings(deadline=None, max_examples=20)
@given(
    rows=st.integers(1, 40), width=st.integers(1, 70), out=st.integers(1, 70), biased=st.booleans()
)
def test_a_packed_layer_is_as_exact_as_a_plain_one(rows, width, out, biased):
    layer = torch.nn.Linear(width, out, bias=biased).bfloat16()
    x = torch.randn(2, rows, width).bfloat16()
    exact = copy.deepcopy(layer).double()(x.double())
    with torch.inference_mode():
        found = PackedLinear(layer.weight, layer.bias)(x)
    assert found.dtype == torch.bfloat16
    # A result is rounded to 8 bits once.
    torch.testing.assert_close(found.double(), exact, rtol=2**-7, atol=1e-3)


def test_a_packed_tower_is_as_exact_as_a_plain_one(tower):
    pixels = torch.randn(5, 3, *tower.image_size)
    plain = copy.deepcopy(tower).bfloat16()
    packed = copy.deepcopy(plain)
    pack(packed)
    kinds = {type(module) for module in packed.transformer.modules()}
    assert {PackedAttention, PackedLinear} <= kinds
    assert torch.nn.Linear not in kinds
    with torch.inference_mode():
        exact = tower(pixels)
        errors = [error(model(pixels.bfloat16()), exact) for model in (plain, packed)]
    assert 0 < errors[1] < 1.5 * errors[0]


def test_what_is_not_plain_stays_as_it_is(tower):
    other = copy.deepcopy(tower)
    other.transformer.resblocks[0].attn.batch_first = False
    first = other.transformer.resblocks[0].attn
    pack(other)
    assert other.transformer.resblocks[0].attn is first
    assert isinstance(other.transformer.resblocks[1].attn, PackedAttention)
    convolutions = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1))
    pack(convolutions)
    assert isinstance(convolutions[0], torch.nn.Conv2d)


def test_only_plain_image_attention_is_packed(tower):
    attention = PackedAttention(copy.deepcopy(tower.transformer.resblocks[0].attn).bfloat16())
    tokens = torch.randn(1, 4, attention._inwards._weight.shape[1]).bfloat16()
    with torch.inference_mode(), pytest.raises(AssertionError):
        attention(tokens, tokens, tokens, attn_mask=torch.zeros(4, 4))
