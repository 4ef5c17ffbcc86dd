"""Image towers with their blocks packed, where that is known to give the same embeddings.

On a GPU all blocks are. On a CPU torch computes a whole layer of attention in one go, which is as
fast, and bytes of sets that exist must stay what they are: there the last block alone is packed,
by the roundings of that layer, and only after a trial gave the same bytes. Of a tower of which the
class token is read, the last block computes nothing else: a ViT-B is spared one part in 14.

What is no plain transformer of OpenCLIP stays as it is, and `why_not` says why.
"""

from typing import cast

import torch
from torch import nn

from vifistore.models.actionclip.action_clip import ViewTower
from vifistore.models.openclip_parts import Attention, ImageTower, ResidualBlock
from vifistore.models.packed_block import PackedBlock
from vifistore.models.prompt_learning import IMAGE_HOOKS
from vifistore.models.registry import open_clip
from vifistore.models.xclip.xclip_modules import XClipTower

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def pack(tower: nn.Module) -> None:
    """Pack, in place, all blocks of a tower in float32 that nobody else has, for inference.

    Raises ValueError for a tower of which `why_not` says something.
    """
    if reason := why_not(tower):
        raise ValueError(reason)
    blocks = cast(nn.ModuleList, transformer_of(tower).transformer.resblocks)
    last = len(blocks) - 1
    for number in range(last + 1):
        is_last = number == last and not why_every_token(tower)
        blocks[number] = _packed(blocks[number], class_token=is_last, rounds_products=False)


def pack_last(tower: nn.Module, frames: int) -> str:
    """Pack, in place, the last block of a tower that nobody else has, as torch's whole layers of
    attention compute it, if that gives the same bytes where the tower lies, for so many frames.

    Returns why it stays as it is; nothing where it was packed.
    """
    if reason := why_not(tower) or why_every_token(tower):
        return reason
    visual = transformer_of(tower)
    blocks = cast(nn.ModuleList, visual.transformer.resblocks)
    attention = visual.transformer.resblocks[-1].attn
    if attention.num_heads % 2 or attention.in_proj_bias is None:
        return "torch has no whole layer for its attention"
    packed = _packed(blocks[-1], class_token=True, rounds_products=True)
    places = visual.positional_embedding
    draw = torch.Generator().manual_seed(0)
    tokens = torch.randn(frames, *places.shape, generator=draw).to(places)
    with torch.inference_mode():
        if not torch.equal(blocks[-1](tokens)[:, :1], packed(tokens)):
            return "its last block alone gives other bytes here"
    blocks[-1] = packed
    return ""


def _packed(block: nn.Module, *, class_token: bool, rounds_products: bool) -> PackedBlock:
    own = cast(ResidualBlock, block)
    packed = PackedBlock(own, class_token=class_token, rounds_products=rounds_products)
    # Learned prompts enter a tower by hooks in front of its blocks.
    packed._forward_pre_hooks = block._forward_pre_hooks
    return packed.eval()


def why_not(tower: nn.Module) -> str:
    """Why a tower runs as it is; empty for one that `pack` takes."""
    if type(tower) not in (open_clip.transformer.VisionTransformer, ViewTower, XClipTower):
        return f"it is a {type(tower).__name__}, none of OpenCLIP's transformers"
    visual = transformer_of(tower)
    kinds = type(visual), type(getattr(visual, "transformer", None))
    if kinds != (open_clip.transformer.VisionTransformer, open_clip.transformer.Transformer):
        return f"its frames are seen by a {type(visual).__name__}, none of OpenCLIP's transformers"
    if not len(visual.transformer.resblocks):
        return "it has no blocks"
    found = (why_not_block(block) for block in visual.transformer.resblocks)
    return next(filter(None, found), "")


def why_not_block(block: nn.Module) -> str:
    """Why a block runs as it is; empty for one that can be packed."""
    if type(block) is not open_clip.transformer.ResidualAttentionBlock:
        return f"a block is a {type(block).__name__}, with more than plain attention in it"
    if hasattr(block, "ln_1_kv"):
        return "a block attends to something else than its own tokens"
    if not _is_unhooked(block):
        return "something is hooked into a block"
    own = cast(ResidualBlock, block)
    if not _is_plain(own.attn):
        return "a layer of attention has more than torch's plain one"
    layers = own.mlp._modules
    is_plain = [*layers] == ["c_fc", "gelu", "c_proj"]
    if not is_plain or not type(own.mlp.c_fc) is type(own.mlp.c_proj) is nn.Linear:
        return "a block has other layers than OpenCLIP's"
    scales = {type(own.ls_1), type(own.ls_2)}
    if scales - {nn.Identity, open_clip.transformer.LayerScale}:
        return "a block scales its layers in another way"
    return ""


def _is_unhooked(block: nn.Module) -> bool:
    """Whether nothing is hooked into a block but learned prompts in front of it."""
    prompts = block._forward_pre_hooks
    return all(isinstance(hook, IMAGE_HOOKS) for hook in prompts.values()) and not any(
        getattr(part, name)
        for part in block.modules()
        for name in _HOOKS
        if getattr(part, name) is not prompts
    )


def why_every_token(tower: nn.Module) -> str:
    """Why the last block of a tower computes every token; empty where its class token is all that
    is read."""
    if isinstance(tower, XClipTower):
        return "X-CLIP reads its patches, too"
    visual = transformer_of(tower)
    if visual.pool_type != "tok" or visual.attn_pool is not None or visual.output_tokens:
        return "more than its class token is read"
    return ""


def transformer_of(tower: nn.Module) -> ImageTower:
    """What sees frames in an image tower."""
    own = getattr(tower, "visual", None) if isinstance(tower, ViewTower | XClipTower) else tower
    return cast(ImageTower, own)


def _is_plain(attention: Attention) -> bool:
    """Whether a layer is torch's, of one width, and made of joint weights and nothing beside."""
    if type(attention) is not nn.MultiheadAttention:
        return False
    is_joint = attention._qkv_same_embed_dim and attention.in_proj_weight is not None
    has_more = attention.bias_k is not None or attention.add_zero_attn
    return is_joint and attention.batch_first and not has_more
