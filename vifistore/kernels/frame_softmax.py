"""Softmax over classes of every frame's logits, in tiles that never leave the chip.

Shared by fusion_scores and fusion_cross_entropy. A row r is one frame of one view, x_r its
embedding, w_c a text embedding, s the logit scale:

    k_rc = (x_r . w_c) / (|x_r| |w_c|)        cosine
    n_r  = log sum_c exp(s k_rc)              normaliser
    p_rc = exp(s k_rc - n_r)                  probability

Gradients start from A_rc, the upstream gradient of log p_rc (formulas in the two files):

    q_r   = sum_c A_rc,    d_rc = A_rc - p_rc q_r          gradient of the logits
    e_r   = sum_c d_rc k_rc,    d s = sum_r e_r
    d x_r = s/|x_r| (sum_c d_rc w_c/|w_c| - e_r x_r/|x_r|)
    d w_c = s/|w_c| (G_c - (w_c/|w_c| . G_c) w_c/|w_c|),   G_c = sum_r d_rc x_r/|x_r|

Logits are computed again where they are needed (as in FlashAttention, Dao et al. 2022): reading
them back would cost more than the products. Nothing is added atomically, so results repeat.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from vifistore.kernels.dispatch import (
    INTERPRETED,
    blocks_over,
    compute_dtype,
    launch,
    power_of_2_from,
    tl,
)
from vifistore.kernels.frame_softmax_kernels import (
    _frame_softmax_backward_kernel,
    _frame_softmax_forward_kernel,
    _frames_backward_kernel,
    _text_backward_kernel,
)

# Splits of the rows that the text gradient sums in parallel.
MAX_SPLITS = 32


class FrameLogits(NamedTuple):
    """What logits are made of; also the leading arguments of every kernel."""

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

    def blocks(self, max_rows: int | None = None) -> dict[str, Any]:
        """Tile sizes and the type that products are made in."""
        num_rows = max_rows or self.normaliser.numel()
        dot_type = _dot_type(self.frames.dtype, self.text.dtype)
        # Float32 products use no tensor cores: small tiles keep their sums in registers.
        classes, dim = (64, 64) if dot_type in (tl.float16, tl.bfloat16) else (32, 16)
        return {
            "BLOCK_ROWS": _block(num_rows, 32),
            "BLOCK_CLASSES": _block(len(self.text), classes),
            "BLOCK_DIM": _block(self.text.shape[1], dim),
            "DOT_TYPE": dot_type,
        }


def frame_softmax_forward(
    frames: Tensor, text: Tensor, logit_scale: Tensor, targets: Tensor | None = None
) -> tuple[FrameLogits, Tensor | None]:
    """Normalisers, and with targets `[view class]` the cross-entropy `[view frame]` as well.

    Frames, text and logit scale must be those of `fusion_inputs`.
    """
    frames, text = frames.contiguous(), text.contiguous()
    inverse = inverse_lengths(frames), inverse_lengths(text)
    logits = FrameLogits(frames, text, logit_scale, *inverse, torch.empty_like(inverse[0]))
    losses = None if targets is None else torch.empty_like(logits.normaliser)
    blocks = logits.blocks()
    num_rows = logits.normaliser.numel()
    launch(
        _frame_softmax_forward_kernel,
        (blocks_over(num_rows, blocks["BLOCK_ROWS"]),),
        *logits,
        None if targets is None else targets.contiguous(),
        losses,
        num_rows,
        frames.shape[1],
        *text.shape,
        **blocks,
    )
    return logits, losses


def frame_softmax_backward(
    logits: FrameLogits,
    upstream: Tensor,
    needed: tuple[bool, ...],
    scores: Tensor | None = None,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of frames, text and logit scale, those that are `needed`.

    upstream: `[view class]`, A of every frame alike; with image scores `[view class]`, their
    gradient, of which each frame takes its share.
    """
    grads = _RowGradients(logits, upstream.contiguous(), scores)
    return (
        grads.of_frames() if needed[0] else None,
        grads.of_text() if needed[1] else None,
        grads.along.sum() if needed[2] else None,
    )


def inverse_lengths(rows: Tensor) -> Tensor:
    """1 / |row| of rows `[... dim]`, and zero for a zero row."""
    lengths = torch.linalg.vector_norm(rows, dim=-1, dtype=compute_dtype(rows))
    return torch.where(lengths == 0, 0.0, 1 / lengths)


class _RowGradients:
    """The backward kernels, which share the sums over classes of every row."""

    def __init__(self, logits: FrameLogits, upstream: Tensor, scores: Tensor | None) -> None:
        self.logits = logits
        self.total = torch.empty_like(logits.normaliser)
        self.along = torch.empty_like(logits.normaliser)
        self.sizes = (logits.normaliser.numel(), logits.frames.shape[1], *logits.text.shape)
        self.arguments = (*logits, upstream, scores, self.total, self.along)
        self.blocks = logits.blocks()
        self.block_out = _block(logits.text.shape[1], 128)
        self.num_row_blocks = blocks_over(self.sizes[0], self.blocks["BLOCK_ROWS"])
        self.num_slices = blocks_over(self.sizes[3], self.block_out)
        self._launch(_frame_softmax_backward_kernel, (self.num_row_blocks,))

    def of_frames(self) -> Tensor:
        grad = torch.empty_like(self.logits.frames)
        grid = (self.num_row_blocks, self.num_slices)
        self._launch(_frames_backward_kernel, grid, grad, BLOCK_OUT=self.block_out)
        return grad

    def of_text(self) -> Tensor:
        text = self.logits.text
        num_class_blocks = blocks_over(len(text), self.blocks["BLOCK_CLASSES"])
        # Their sums [split class dim] stay below half of a tensor [view frame class].
        num_splits = max(1, min(MAX_SPLITS, self.sizes[0] // (2 * text.shape[1])))
        sums = self.total.new_empty(num_splits, *text.shape)
        grid = (num_class_blocks, self.num_slices, num_splits)
        self._launch(_text_backward_kernel, grid, sums, BLOCK_OUT=self.block_out)
        inverse = self.logits.class_inverse[:, None]
        unit = text * inverse
        pulled = sums.sum(0)
        pulled -= unit * (unit * pulled).sum(-1, keepdim=True)
        return (self.logits.logit_scale * inverse * pulled).to(text.dtype)

    def _launch(self, kernel: Any, grid: tuple, *output: Tensor, **blocks: int) -> None:
        launch(kernel, grid, *self.arguments, *output, *self.sizes, **self.blocks, **blocks)


def _block(size: int, largest: int) -> int:
    """Tile size; matrix instructions need at least 16."""
    return max(16, min(power_of_2_from(size), largest))


def _dot_type(frames: torch.dtype, text: torch.dtype) -> Any:
    """Products of two half-precision numbers are exact in float32; others are made in float32."""
    if frames == torch.float64:
        return tl.float64
    # The interpreter multiplies bfloat16 as if it were an integer.
    if frames != text or (INTERPRETED and frames == torch.bfloat16):
        return tl.float32
    return {torch.float16: tl.float16, torch.bfloat16: tl.bfloat16}.get(frames, tl.float32)
