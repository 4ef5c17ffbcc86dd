import pytest
import torch
from torch import nn

from vifistore.errors import ModelError
from vifistore.models.class_attention import attention_maps, block_attention, recorded
from vifistore.models.prompt_learning import PromptSettings, add_prompts
from vifistore.models.registry import open_clip
from vifistore.models.skeletons import new_model


@pytest.fixture(scope="module")
def pixels():
    return torch.randn(18, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def clip():
    """The tiny model, its weights larger than at the start so that attention is not even."""
    model = new_model("vifi-tiny", 0).eval()
    with torch.no_grad():
        for block in model.visual.transformer.resblocks:
            block.attn.in_proj_weight.mul_(8)
    return model


def embed(clip: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return clip.visual(pixels)


def num_hooks(clip: nn.Module) -> int:
    return sum(len(m._forward_pre_hooks) + len(m._forward_hooks) for m in clip.modules())


@pytest.mark.parametrize("prompted", [False, True])
def test_embeddings_are_the_same_and_hooks_are_removed(clip, pixels, prompted):
    if prompted:
        add_prompts(clip, PromptSettings(image_prompts=3, image_depth=2, text_prompts=0), seed=0)
    hooks, batch = num_hooks(clip), pixels[:8]
    before = embed(clip, batch)
    maps = attention_maps(clip, batch)
    assert torch.equal(maps.embeddings, before)
    assert torch.equal(embed(clip, batch), before)
    assert num_hooks(clip) == hooks


@pytest.mark.parametrize("settings", [{}, {"qk_norm": True}, {"no_ln_pre": True}])
def test_openclips_towers_give_the_same_embeddings(pixels, settings):
    sizes = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "heads": 2}
    clip = nn.Module()
    clip.visual = open_clip.transformer.VisionTransformer(
        **sizes, mlp_ratio=2.0, output_dim=16, **settings
    ).eval()
    before = embed(clip, pixels[:4])
    assert torch.equal(attention_maps(clip, pixels[:4]).embeddings, before)
    assert num_hooks(clip) == 0


def test_hooks_are_removed_when_the_tower_fails(clip):
    with pytest.raises(RuntimeError), recorded(clip.visual):
        clip.visual(torch.zeros(1, 1, 32, 32))
    assert num_hooks(clip) == 0


def test_maps_are_shares_of_patches_that_differ(clip, pixels):
    maps = attention_maps(clip, pixels)
    for found in (maps.last, maps.rollout):
        assert found.shape == (18, *clip.visual.grid_size)
        assert (found >= 0).all()
        torch.testing.assert_close(found.sum(dim=(1, 2)), torch.ones(18))
    assert not torch.allclose(maps.last, maps.rollout, atol=1e-3)
    assert maps.last.std() > 1e-3


def test_attention_of_a_block_is_pytorchs(clip):
    block = clip.visual.transformer.resblocks[1]
    tokens = torch.randn(2, 17, block.ln_1.normalized_shape[0])
    normed = block.ln_1(tokens)
    expected = block.attn(normed, normed, normed, need_weights=True)[1]
    torch.testing.assert_close(block_attention(block, tokens), expected)


@pytest.mark.parametrize("settings", [{}, {"qk_norm": True}, {"qkv_bias": False}])
def test_attention_of_openclips_own_kind(settings, monkeypatch):
    block = nn.Module()
    block.ln_1 = nn.LayerNorm(16)
    block.attn = open_clip.transformer.Attention(16, 2, **settings)
    tokens = torch.randn(3, 5, 16)
    seen = []

    def spy(query, key, value, **_):
        seen.append((query @ key.transpose(-1, -2) / 8**0.5).softmax(dim=-1).mean(dim=1))
        return value

    monkeypatch.setattr(nn.functional, "scaled_dot_product_attention", spy)
    block.attn(block.ln_1(tokens))
    torch.testing.assert_close(block_attention(block, tokens), seen[0])


def test_rollout_is_the_product_of_all_blocks(clip, pixels):
    tokens = []
    handles = [
        block.register_forward_pre_hook(lambda block, arguments: tokens.append(arguments[0]))
        for block in clip.visual.transformer.resblocks
    ]
    embed(clip, pixels[:2])
    for handle in handles:
        handle.remove()
    flow = torch.eye(17)
    with torch.inference_mode():
        for block, seen in zip(clip.visual.transformer.resblocks, tokens, strict=True):
            flow = (block_attention(block, seen) / 2 + torch.eye(17) / 2) @ flow
    shares = flow[:, 0, 1:] / flow[:, 0, 1:].sum(dim=-1, keepdim=True)
    found = attention_maps(clip, pixels[:2]).rollout
    torch.testing.assert_close(found.flatten(1), shares)


def test_prompts_are_left_out_of_the_maps(clip, pixels):
    plain = attention_maps(clip, pixels[:2])
    add_prompts(clip, PromptSettings(image_prompts=5, image_depth=3, text_prompts=0), seed=1)
    maps = attention_maps(clip, pixels[:2])
    assert maps.last.shape == plain.last.shape
    torch.testing.assert_close(maps.last.sum(dim=(1, 2)), torch.ones(2))
    assert not torch.equal(maps.last, plain.last)


def test_a_tower_without_a_class_token_is_refused():
    clip = nn.Module()
    clip.visual = open_clip.modified_resnet.ModifiedResNet((1, 1, 1, 1), 8, 1, 32, 8)
    with pytest.raises(ModelError, match="use a ViT"):
        attention_maps(clip, torch.zeros(1, 3, 32, 32))
