"""What every frame's logits are made of, and in what arithmetic, for the kernels of
vifistore.kernels.frame_softmax."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from vifistore.kernels.dispatch import INTERPRETED, card_of, compute_dtype, power_of_2_from, tl
from vifistore.kernels.tile_choices import TileChoice

# Frames and text of training in bfloat16.
MIXED_TRAINING = (torch.bfloat16, torch.float32)


class FrameLogits(NamedTuple):
    """What logits are made of."""

    frames: Tensor
    """`[view frame dim]`"""
    text: Tensor
    """`[class dim]`"""
    logit_scale: Tensor
    """`[]`"""
    row_inverse: Tensor
    """1 / |x_r|, `[view frame]`, zero for a zero frame"""
    class_inverse: Tensor
    """1 / |w_c|, `[class]`"""
    normaliser: Tensor
    """`[view frame]`"""

    words: Tensor
    """What products are made with, the sum over terms being the text: `[term class dim]`"""

    @property
    def arguments(self) -> tuple[Tensor, ...]:
        """The leading arguments of every kernel."""
        lengths = self.row_inverse, self.class_inverse
        return self.frames, self.words, self.logit_scale, *lengths, self.normaliser

    def tiles(self, choice: TileChoice, max_rows: int | None = None) -> dict[str, Any]:
        """Tile sizes of a kernel, and in what its products are made."""
        how = _products(self.frames.dtype, self.text.dtype)
        largest = choice.of(how["GRADIENT_TERMS"] > 1, card_of(self.frames).shared_bytes)
        return {
            "BLOCK_ROWS": _block(max_rows or self.normaliser.numel(), largest.rows),
            "BLOCK_CLASSES": _block(len(self.text), largest.classes),
            "BLOCK_DIM": _block(self.text.shape[1], largest.dim),
            "num_warps": largest.warps,
            **how,
        }


class RowSums(NamedTuple):
    """q_r and e_r of every row."""

    total: Tensor
    """`[view frame]`"""
    along: Tensor
    """`[view frame]`"""

    def times(self, factor: Tensor) -> "RowSums":
        """Those of so many times A; factor is `[]`."""
        return RowSums(self.total * factor, self.along * factor)


def inverse_lengths(rows: Tensor) -> Tensor:
    """1 / |row| of rows `[... dim]`, and zero for a zero row."""
    lengths = torch.linalg.vector_norm(rows, dim=-1, dtype=compute_dtype(rows))
    return torch.where(lengths == 0, 0.0, 1 / lengths)


def _block(size: int, largest: int) -> int:
    """Tile size; matrix instructions need at least 16."""
    return max(16, min(power_of_2_from(size), largest))


def words_of(frames: Tensor, text: Tensor) -> Tensor:
    """The text as the terms that products are made with, `[term class dim]`."""
    if _products(frames.dtype, text.dtype)["TEXT_TERMS"] == 1:
        return text[None]
    high = text.to(frames.dtype)
    return torch.stack([high, (text - high.to(text.dtype)).to(frames.dtype)])


def _products(frames: torch.dtype, text: torch.dtype) -> dict[str, Any]:
    """In what products are made, and of how many terms their operands are."""
    half = {torch.float16: tl.float16, torch.bfloat16: tl.bfloat16}.get(frames)
    if half is not None and (text == frames or (frames, text) == MIXED_TRAINING):
        # The interpreter multiplies bfloat16 as if it were an integer.
        dot = tl.float32 if INTERPRETED and frames == torch.bfloat16 else half
        terms = {"TEXT_TERMS": 1 if text == frames else 2, "GRADIENT_TERMS": 2}
        return {"DOT_TYPE": dot, "TERM_TYPE": half, **terms}
    dot = tl.float64 if frames == torch.float64 else tl.float32
    return {"DOT_TYPE": dot, "TERM_TYPE": dot, "TEXT_TERMS": 1, "GRADIENT_TERMS": 1}
