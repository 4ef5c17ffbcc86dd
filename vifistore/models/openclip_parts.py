"""What is used of OpenCLIP's models, in types: its own classes leave those of their parts open.

Nothing is ever made of these classes. OpenCLIP's models are taken for them where they are made, and
have those of the parts that their kind has: a ResNet has no `transformer`.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """A layer of attention, torch's or OpenCLIP's own."""

    num_heads: int
    in_proj_weight: Tensor
    """[3*width width]."""
    in_proj_bias: Tensor | None
    """[3*width]."""
    out_proj: nn.Linear
    ln_q: nn.Module
    ln_k: nn.Module


class ResidualBlock(nn.Module):
    """A block of a transformer."""

    attn: Attention
    ln_1: nn.Module
    ln_2: nn.Module
    ls_1: nn.Module
    ls_2: nn.Module
    mlp: "Mlp"


class Mlp(nn.Module):
    """What a block computes of each token alone."""

    c_fc: nn.Linear
    gelu: nn.Module
    c_proj: nn.Linear


class Transformer(nn.Module):
    """The blocks of a tower."""

    width: int
    resblocks: Sequence[ResidualBlock]
    grad_checkpointing: bool
    get_cast_dtype: Callable[[], torch.dtype]


class AttentionPool(nn.Module):
    """The end of a ResNet."""

    positional_embedding: Tensor
    """[1+patch width]."""


class PatchEmbedding(nn.Module):
    """The start of timm's transformers."""

    grid_size: tuple[int, int]
    """Rows and columns of patches."""


class Trunk(nn.Module):
    """A tower of timm."""

    patch_embed: PatchEmbedding


class ImageTower(nn.Module):
    """OpenCLIP's `visual`: pixels [frame 3 height width] -> embeddings [frame dim]."""

    image_size: int | tuple[int, int]
    """Side, or height and width, pixels."""
    grid_size: tuple[int, int]
    """Rows and columns of patches."""
    transformer: Transformer
    conv1: nn.Conv2d
    ln_pre: nn.Module
    ln_post: nn.Module
    proj: Tensor | None
    """[width dim]."""
    output_dim: int
    _embeds: Callable[[Tensor], Tensor]
    """Pixels [frame 3 height width] -> tokens [frame token width] in front of the first block."""
    positional_embedding: Tensor
    pool_type: str
    attn_pool: nn.Module | None
    output_tokens: bool
    added: nn.Module
    """What a system added; see `vifistore.models.system_modules`."""
    trunk: Trunk
    attnpool: AttentionPool
    added: nn.Module
    """What a system of training adds to it, if anything."""


class OpenClipText(nn.Module):
    """The half of a model that reads text: a part of it, or the model itself."""

    transformer: Transformer
    token_embedding: nn.Embedding
    positional_embedding: Tensor
    """[token width]."""


class Clip(OpenClipText):
    """A model of OpenCLIP."""

    visual: ImageTower
    text: nn.Module
    logit_scale: Tensor
    context_length: int
    text_pool_type: str
    text_eos_id: int
    encode_text: Callable[[Tensor], Tensor]
    """Tokens [text token] -> un-normalised embeddings [text dim]."""
    attn_mask: Tensor | None
    """[token token]."""
    ln_final: nn.Module
    text_projection: nn.Linear | Tensor | None
    set_grad_checkpointing: Callable[[bool], None]
    added_system: dict
    """Whose added modules it has, if any; see `vifistore.models.system_modules`."""
    added: nn.Module
    """What a system of training adds to its text side, if anything."""
