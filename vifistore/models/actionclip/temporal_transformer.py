"""A transformer over the frames of a view, as A5 and ActionCLIP ("Transf") have it.

With x_f the embedding of frame f and p_f a learned position,

    z = blocks(x + p)
    block(x):   y = x + attention(norm(x)),   y + W2 g(W1 norm(y)),   g(a) = a sigmoid(1.702 a)

    A5           mean_f z_f             (ju-chen/Efficient-Prompt, src/model.py)
    ActionCLIP   mean_f (z_f + x_f)     (sallymmx/ActionCLIP, modules/Visual_Prompt.py, "Transf")

Both have a head of attention for every 64 dimensions. ActionCLIP's table of positions is as long as
a text; only the rows of the frames are ever read, and only they are kept here.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vifistore.errors import ModelError

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


_KINDS = {
    **dict.fromkeys(("a5", "a6"), _Kind(norm_epsilon=1e-5, position_spread=0.01, adds_input=False)),
    "actionclip-transf": _Kind(norm_epsilon=1e-12, position_spread=0.02, adds_input=True),
}


def new_pooling(kind: str, shape: PoolingShape) -> nn.Module:
    """Return a pooling `[... frame dim]` -> `[... dim]` with its first weights.

    Raises ModelError if the dimensions cannot be divided among heads of attention.
    """
    return MeanPooling() if kind == "actionclip-mean" else new_transformer(kind, shape)


def new_transformer(kind: str, shape: PoolingShape) -> "TemporalTransformer":
    """As `new_pooling`, for the kinds that are transformers: a5 and actionclip-transf."""
    if shape.dim % num_heads(shape.dim):
        raise ModelError(
            f"embeddings of {shape.dim} dimensions cannot be divided among {num_heads(shape.dim)} "
            f"heads of attention; use features of another model, or the head actionclip-mean"
        )
    pooling = TemporalTransformer(shape, _KINDS[kind])
    if kind == "actionclip-transf":
        pooling.apply(start_as_actionclip)
    return pooling


class MeanPooling(nn.Module):
    """ActionCLIP's "meanP": the mean over frames. There is nothing to learn."""

    def forward(self, frames: Tensor) -> Tensor:
        """frames `[... frame dim]` -> `[... dim]`."""
        return frames.mean(-2)


class FrameHead(nn.Module, ABC):
    """What a system makes of the frames of a view, before their mean."""

    @abstractmethod
    def outputs(self, frames: Tensor) -> Tensor:
        """Frames `[view frame dim]` -> `[view output dim]`, as many or fewer."""


class TemporalTransformer(FrameHead):
    """A transformer over the frames of a view."""

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
        return self.outputs(views).mean(-2).reshape(*frames.shape[:-2], -1)

    def outputs(self, frames: Tensor) -> Tensor:
        """What the mean is of: frames `[view frame dim]` -> the same shape.

        Raises ModelError for more frames than there are positions.
        """
        positions = self.positions[: frames.shape[1]]
        if len(positions) < frames.shape[1]:
            raise ModelError(
                f"views of {frames.shape[1]} frames have no place in a head of {len(positions)} "
                f"positions; give --frames {len(positions)} or fewer"
            )
        mixed = self.blocks(frames + positions)
        return mixed + frames if self._adds_input else mixed


class Block(nn.Module):
    """One transformer block, normalising first."""

    def __init__(self, dim: int, norm_epsilon: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim, eps=norm_epsilon)
        self.attention = nn.MultiheadAttention(dim, num_heads(dim), batch_first=True)
        self.mlp_norm = nn.LayerNorm(dim, eps=norm_epsilon)
        self.widen = nn.Linear(dim, 4 * dim)
        self.narrow = nn.Linear(4 * dim, dim)

    def forward(self, frames: Tensor) -> Tensor:
        """frames `[view frame dim]` -> the same shape."""
        normed = self.attention_norm(frames)
        frames = frames + self.attention(normed, normed, normed, need_weights=False)[0]
        hidden = self.widen(self.mlp_norm(frames))
        return frames + self.narrow(hidden * torch.sigmoid(1.702 * hidden))


def num_heads(dim: int) -> int:
    return max(1, dim // _DIM_OF_ATTENTION_HEAD)


def start_as_actionclip(module: nn.Module) -> None:
    """Linear layers at N(0, 0.02) without bias; A5 leaves them as PyTorch has them."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
