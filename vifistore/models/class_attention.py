"""Where the class token of an image tower looks: its attention over patches.

    maps = attention_maps(loaded.clip, pixels)      # pixels [frame 3 size size]
    maps.last, maps.rollout        # float32 [frame row column], each frame sums to 1

*last*: attention of the class token in the last block, averaged over heads (the paper, Figures 4
and 5). *rollout*: attention of all blocks multiplied, half of every block's input passing it by
(Abnar and Zuidema 2020, "Quantifying attention flow in transformers", section 3).

A tower runs as it always does. In front of each block a hook takes the tokens and computes the
attention a second time from the block's own weights, so embeddings are the same bytes as without.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vifistore.errors import ModelError
from vifistore.models.openclip_parts import Clip, ImageTower, ResidualBlock

METHODS = ("last", "rollout")
# One [token token] matrix a frame is kept; a ViT-L/14 at 336 pixels has 577 tokens.
_BATCH_FRAMES = 16


@dataclass(frozen=True, kw_only=True)
class AttentionMaps:
    """What a tower looked at in each frame."""

    embeddings: Tensor
    """float32 [frame dim], as the tower gives them."""
    last: Tensor
    """float32 [frame row column]."""
    rollout: Tensor
    """float32 [frame row column]."""


def attention_maps(clip: Clip, pixels: Tensor) -> AttentionMaps:
    """Run the image tower over float32 [frame 3 size size] and say where its class token looked.

    Prompts, which are no part of the picture, are left out of the maps and of the rollout. Raises
    ModelError for a tower without a class token over patches.
    """
    tower = clip.visual
    check_tower(tower)
    parts = []
    for batch in pixels.split(_BATCH_FRAMES):
        with torch.inference_mode(), recorded(tower) as record:
            embeddings = tower(batch.to(tower.conv1.weight)).float()
        assert record.rollout is not None, "a tower has a block"
        last, rollout = (_on_grid(flow, tower) for flow in (record.last, record.rollout))
        parts.append((embeddings, last, rollout))
    embeddings, last, rollout = (torch.cat(part).cpu() for part in zip(*parts, strict=True))
    return AttentionMaps(embeddings=embeddings, last=last, rollout=rollout)


def check_tower(tower: ImageTower) -> None:
    """Raise ModelError unless `tower` is an OpenCLIP transformer that reads its class token."""
    has_blocks = hasattr(tower, "class_embedding") and hasattr(tower.transformer, "resblocks")
    if not has_blocks or tower.pool_type != "tok" or tower.attn_pool is not None:
        raise ModelError(
            "attention maps need OpenCLIP's own image transformer with a class token, which this "
            "model has not; use a ViT such as ViT-B-16-quickgelu"
        )


@dataclass(kw_only=True)
class Record:
    """Attention of one run of a tower, filled block by block."""

    num_tokens: int
    """Class token and patches; what stands behind them (prompts) is left out."""
    attention: Tensor | None = None
    """float32 [frame token token] of the newest block: to a query (row) from each key."""
    rollout: Tensor | None = None
    """float32 [frame token token], the product so far."""

    @property
    def last(self) -> Tensor:
        """float32 [frame token token] of the last block."""
        assert self.attention is not None, "nothing has run through the tower"
        return self.attention

    def add(self, block: ResidualBlock, arguments: tuple, keywords: dict) -> None:
        """Forward pre-hook of a block."""
        found = block_attention(block, arguments[0])[:, : self.num_tokens, : self.num_tokens]
        found = found / found.sum(dim=-1, keepdim=True)
        self.attention = found
        half = (found + torch.eye(self.num_tokens, device=found.device)) / 2
        self.rollout = half if self.rollout is None else half @ self.rollout


@contextlib.contextmanager
def recorded(tower: ImageTower) -> Iterator[Record]:
    """Record the attention of whatever runs through a tower; its hooks are gone afterwards."""
    rows, columns = tower.grid_size
    record = Record(num_tokens=1 + rows * columns)
    # Registered last, so they see the tokens as prompts have left them.
    handles = [
        block.register_forward_pre_hook(record.add, with_kwargs=True)
        for block in tower.transformer.resblocks
    ]
    try:
        yield record
    finally:
        for handle in handles:
            handle.remove()


def block_attention(block: ResidualBlock, tokens: Tensor) -> Tensor:
    """softmax(q k / sqrt(width of a head)), mean over heads: float32 [frame token token].

    `tokens` [frame token width] is the input of the block. Both of OpenCLIP's kinds of blocks.
    """
    attention = block.attn
    normed = block.ln_1(tokens)
    bias = attention.in_proj_bias
    width = normed.shape[-1]
    query, key = functional.linear(
        normed, attention.in_proj_weight[: 2 * width], None if bias is None else bias[: 2 * width]
    ).chunk(2, dim=-1)
    query, key = (
        part.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2) for part in (query, key)
    )
    if hasattr(attention, "ln_q"):
        query, key = attention.ln_q(query), attention.ln_k(key)
    products = query.float() @ key.float().transpose(-1, -2)
    return (products * query.shape[-1] ** -0.5).softmax(dim=-1).mean(dim=1)


def _on_grid(flow: Tensor, tower: ImageTower) -> Tensor:
    """The class token's share of each patch, from [frame token token]."""
    to_patches = flow[:, 0, 1:]
    return (to_patches / to_patches.sum(dim=-1, keepdim=True)).unflatten(-1, tower.grid_size)
