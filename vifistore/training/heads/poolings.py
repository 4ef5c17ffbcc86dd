"""Poolings of frames that are learned: a transformer over time, as A5 and ActionCLIP have it.

With x_f the embedding of frame f and p_f a learned position,

    z = blocks(x + p)
    block(x):   y = x + attention(norm(x)),   y + W2 g(W1 norm(y)),   g(a) = a sigmoid(1.702 a)

    A5           mean_f z_f             (ju-chen/Efficient-Prompt, src/model.py)
    ActionCLIP   mean_f (z_f + x_f)     (sallymmx/ActionCLIP, modules/Visual_Prompt.py, "Transf")

Both have a head of attention for every 64 dimensions. ActionCLIP's table of positions is as long as
a text; only the rows of the frames are ever read, and only they are kept here.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vifistore.errors import ModelError
from vifistore.training.heads.head_settings import HeadKind

_DIM_OF_ATTENTION_HEAD = 64


@dataclass(frozen=True, kw_only=True)
class PoolingShape:
    """Sizes of a pooling."""

    dim: int
    """Dimensions of an embedding."""
    num_frames: int
    """Frames of a view."""
    layers: int
    """Transformer blocks."""


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """What sets one transformer over time apart from another."""

    norm_epsilon: float
    """Added to the variance in layer norms."""
    position_spread: float
    """Standard deviation of the first positions."""
    adds_input: bool
    """Whether the input is added to what comes out."""


_KINDS: dict[HeadKind, _Kind] = {
    "a5": _Kind(norm_epsilon=1e-5, position_spread=0.01, adds_input=False),
    "actionclip-transf": _Kind(norm_epsilon=1e-12, position_spread=0.02, adds_input=True),
}


def new_pooling(kind: HeadKind, shape: PoolingShape) -> nn.Module:
    """Return a pooling `[... frame dim]` -> `[... dim]` with its first weights.

    Raises ModelError if the dimensions cannot be divided among heads of attention.
    """
    if kind == "actionclip-mean":
        return MeanPooling()
    if shape.dim % _num_heads(shape.dim):
        raise ModelError(
            f"embeddings of {shape.dim} dimensions cannot be divided among {_num_heads(shape.dim)} "
            f"heads of attention; use features of another model, or the head actionclip-mean"
        )
    pooling = TemporalTransformer(shape, _KINDS[kind])
    if kind == "actionclip-transf":
        pooling.apply(_start_as_actionclip)
    return pooling


class MeanPooling(nn.Module):
    """ActionCLIP's "meanP": the mean over frames. There is nothing to learn."""

    def forward(self, frames: Tensor) -> Tensor:
        """frames `[... frame dim]` -> `[... dim]`."""
        return frames.mean(-2)


class TemporalTransformer(nn.Module):
    """A transformer over the frames of a view, and the mean of what comes out."""

    def __init__(self, shape: PoolingShape, kind: _Kind) -> None:
        super().__init__()
        self._adds_input = kind.adds_input
        positions = torch.randn(shape.num_frames, shape.dim) * kind.position_spread
        self.positions = nn.Parameter(positions)
        blocks = (Block(shape.dim, kind.norm_epsilon) for _ in range(shape.layers))
        self.blocks = nn.Sequential(*blocks)

    def forward(self, frames: Tensor) -> Tensor:
        """frames `[... frame dim]` -> `[... dim]`."""
        views = frames.reshape(-1, *frames.shape[-2:])
        mixed = self.blocks(views + self.positions)
        if self._adds_input:
            mixed = mixed + views
        return mixed.mean(-2).reshape(*frames.shape[:-2], -1)


class Block(nn.Module):
    """One transformer block, normalising first."""

    def __init__(self, dim: int, norm_epsilon: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim, eps=norm_epsilon)
        self.attention = nn.MultiheadAttention(dim, _num_heads(dim), batch_first=True)
        self.mlp_norm = nn.LayerNorm(dim, eps=norm_epsilon)
        self.widen = nn.Linear(dim, 4 * dim)
        self.narrow = nn.Linear(4 * dim, dim)

    def forward(self, frames: Tensor) -> Tensor:
        """frames `[view frame dim]` -> the same shape."""
        normed = self.attention_norm(frames)
        frames = frames + self.attention(normed, normed, normed, need_weights=False)[0]
        hidden = self.widen(self.mlp_norm(frames))
        return frames + self.narrow(hidden * torch.sigmoid(1.702 * hidden))


def _num_heads(dim: int) -> int:
    return max(1, dim // _DIM_OF_ATTENTION_HEAD)


def _start_as_actionclip(module: nn.Module) -> None:
    """Linear layers at N(0, 0.02) without bias; A5 leaves them as PyTorch has them."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
