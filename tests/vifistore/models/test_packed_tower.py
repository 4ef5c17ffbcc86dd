"""Packed towers give what OpenCLIP's own give, or stay as they are and say why."""

import copy
import logging

import pytest
import torch
from torch import nn

from tests.vifistore.models.random_towers import SIZES, tower_of
from vifistore.extract.device_tower import tower_on
from vifistore.models.actionclip.action_clip import ViewTower
from vifistore.models.packed_block import PackedBlock
from vifistore.models.packed_tower import pack, pack_last, transformer_of, why_every_token, why_not
from vifistore.models.prompt_learning import PromptSettings, add_prompts
from vifistore.models.registry import open_clip
from vifistore.models.towers import load_model
from vifistore.models.xclip.xclip_modules import XClipTower

CPU = torch.device("cpu")
ARCHITECTURES = {
    "gelu": {},
    "quick_gelu": {"act_layer": open_clip.transformer.QuickGELU},
    "layer_scale": {"ls_init_value": 0.3},
    "narrow_heads": {"heads": 4},
    "one_head": {"heads": 1},
    "oblong": {"image_size": (32, 48), "patch_size": 16},
    "patch_dropout": {"patch_dropout": 0.5},
    "no_ln_pre": {"no_ln_pre": True},
    "ln_after_pool": {"final_ln_after_pool": True},
    "fixed_places": {"pos_embed_type": "sin_cos_2d", "patch_size": 16},
    "mean_pool": {"pool_type": "avg"},
    "every_token": {"pool_type": "none"},
    "attentional_pool": {
        "attentional_pool": True,
        "attn_pooler_queries": 4,
        "attn_pooler_heads": 2,
    },
    "cascade": {"attentional_pool": "cascade", "attn_pooler_queries": 4, "attn_pooler_heads": 2}
    | {"output_dim": 128},
}
CUSTOM = {"qk_norm", "scale_heads", "scale_attn_inner", "scale_attn", "scale_fc"}


def pixels_of(tower: nn.Module, frames: int = 5) -> torch.Tensor:
    """[frame 3 height width]."""
    return torch.randn(frames, 3, *transformer_of(tower).image_size, generator=torch.Generator())


def run(tower: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    """Embeddings, float32."""
    with torch.inference_mode():
        return tower(pixels).float()


def distance(found: torch.Tensor, exact: torch.Tensor) -> float:
    """Relative to the length of what is exact."""
    return float((found - exact).norm() / exact.norm())


def packed(tower: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A packed copy."""
    own = copy.deepcopy(tower)
    pack(own)
    return own.to(dtype)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_packed_tower_gives_the_embeddings_of_the_original(name):
    tower = tower_of(**ARCHITECTURES[name])
    pixels = pixels_of(tower)
    exact = run(copy.deepcopy(tower).double(), pixels.double())
    torch.testing.assert_close(run(packed(tower), pixels), exact, rtol=1e-5, atol=1e-5)
    half, low = torch.bfloat16, pixels.bfloat16()
    own = distance(run(copy.deepcopy(tower).to(half), low), exact)
    # As far from the exact ones as the original's; two roundings of one number differ that much.
    assert distance(run(packed(tower, half), low), exact) < 1.25 * own
    blocks = transformer_of(packed(tower)).transformer.resblocks
    assert all(isinstance(block, PackedBlock) for block in blocks)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_a_cpu_bytes_are_those_of_the_original(name, dtype):
    tower = tower_of(**ARCHITECTURES[name])
    pixels = pixels_of(tower).to(dtype)
    expected = run(copy.deepcopy(tower).to(dtype), pixels)
    assert torch.equal(run(tower_on(tower, CPU, dtype, 5), pixels), expected)


def test_the_last_block_is_packed_where_that_changes_no_byte(monkeypatch):
    tower = tower_of()
    own = copy.deepcopy(tower)
    monkeypatch.setattr(torch, "equal", lambda one, other: True)
    assert pack_last(own, 5) == ""
    blocks = transformer_of(own).transformer.resblocks
    assert [isinstance(block, PackedBlock) for block in blocks] == [False, False, True]
    pixels = pixels_of(tower)
    torch.testing.assert_close(run(own, pixels), run(tower, pixels), rtol=1e-5, atol=1e-5)
    monkeypatch.setattr(torch, "equal", lambda one, other: False)
    own = copy.deepcopy(tower)
    assert pack_last(own, 5) == "its last block alone gives other bytes here"
    assert not any(isinstance(part, PackedBlock) for part in own.modules())


def test_the_class_token_alone_is_computed_where_it_alone_is_read():
    shapes = {}
    for name in ("gelu", "mean_pool"):
        own = packed(tower_of(**ARCHITECTURES[name]))
        last = transformer_of(own).transformer.resblocks[-1]
        run(own, pixels_of(own))
        shapes[name] = tuple(last(torch.randn(2, 17, 128)).shape)
    assert shapes == {"gelu": (2, 1, 128), "mean_pool": (2, 17, 128)}


@pytest.mark.parametrize("option", sorted(CUSTOM))
def test_blocks_of_another_kind_stay(option):
    tower = tower_of(**{option: True})
    assert why_not(tower).startswith("a block is a CustomResidualAttentionBlock")
    with pytest.raises(ValueError, match="CustomResidualAttentionBlock"):
        pack(tower)
    assert pack_last(tower, 5) == why_not(tower)


def hooked(tower: nn.Module) -> nn.Module:
    """With something in it that changes what a layer gives."""
    tower.transformer.resblocks[0].mlp.register_forward_hook(lambda *given: given[-1] * 2)
    return tower


def other_layers(tower: nn.Module) -> nn.Module:
    """With a layer that computes something of its own."""

    class Own(nn.Linear):
        pass

    tower.transformer.resblocks[1].mlp.c_proj = Own(512, 128)
    return tower


def without_joint_weights(tower: nn.Module) -> nn.Module:
    """With a layer of attention of another kind."""
    tower.transformer.resblocks[1].attn = nn.MultiheadAttention(128, 2, kdim=64, batch_first=True)
    return tower


class Inherited(open_clip.transformer.VisionTransformer):
    """May compute anything."""


@pytest.mark.parametrize(
    ("tower", "told"),
    [
        (nn.Linear(1, 1), "it is a Linear, none of OpenCLIP's transformers"),
        (Inherited(**SIZES), "it is a Inherited, none"),
        (hooked(tower_of()), "something is hooked into a block"),
        (without_joint_weights(tower_of()), "a layer of attention has more"),
        (other_layers(tower_of()), "a block has other layers than OpenCLIP's"),
        (tower_of(layers=0), "it has no blocks"),
        (ViewTower(nn.Linear(1, 1), nn.Linear(1, 1), is_mean=True), "its frames are seen by a Lin"),
    ],
)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_is_not_plain_stays_and_says_why(tower, told, device, monkeypatch, caplog):
    assert why_not(tower).startswith(told)
    monkeypatch.setattr(nn.Module, "to", lambda module, *place: module)
    caplog.set_level(logging.DEBUG, "vifi")
    own = tower_on(tower, torch.device(device), torch.float32, 2)
    assert own is not tower
    assert not any(isinstance(part, PackedBlock) for part in own.modules())


def test_learned_prompts_stay_in_front_of_their_blocks():
    loaded = load_model("vifi-tiny", "none")
    settings = PromptSettings(image_prompts=3, image_depth=2, text_prompts=0)
    add_prompts(loaded.clip, settings, seed=1)
    with torch.no_grad():
        loaded.clip.visual.prompts.vectors.mul_(50)
    tower = loaded.clip.visual.eval()
    pixels = pixels_of(tower)
    expected = run(tower, pixels)
    torch.testing.assert_close(run(packed(tower), pixels), expected, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        tower.prompts.vectors.zero_()
    assert not torch.allclose(run(tower, pixels), expected, rtol=1e-3)


def test_x_clip_reads_every_patch():
    tower = XClipTower(tower_of())
    assert why_not(tower) == ""
    assert why_every_token(tower) == "X-CLIP reads its patches, too"
    assert pack_last(tower, 5) == "X-CLIP reads its patches, too"
    pack(tower)
    assert tower.visual.transformer.resblocks[-1](torch.randn(2, 17, 128)).shape == (2, 17, 128)
