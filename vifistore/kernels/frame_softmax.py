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

Products run on tensor cores where frames are float16 or bfloat16. There a float32 number is the sum
of two of half precision, which leaves 2^-17 of it in bfloat16 and 2^-22 in float16: so d_rc is
taken, and a float32 text beside bfloat16 frames. Half-precision frames and texts are exact.
"""

from dataclasses import dataclass
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
from vifistore.kernels.frame_gradient_kernels import (
    _frames_backward_kernel,
    _text_backward_kernel,
)
from vifistore.kernels.frame_softmax_kernels import (
    _frame_softmax_backward_kernel,
    _frame_softmax_forward_kernel,
)

# Splits of the rows that the text gradient sums in parallel.
MAX_SPLITS = 32
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

    def tiles(self, largest: "Tiles", max_rows: int | None = None) -> dict[str, Any]:
        """Tile sizes of a kernel, and in what its products are made."""
        how = _products(self.frames.dtype, self.text.dtype)
        if how["GRADIENT_TERMS"] == 1:
            # Float32 products use no tensor cores: small tiles keep their sums in registers.
            largest = Tiles(rows=32, classes=32, dim=16, warps=largest.warps_of_float32)
        return {
            "BLOCK_ROWS": _block(max_rows or self.normaliser.numel(), largest.rows),
            "BLOCK_CLASSES": _block(len(self.text), largest.classes),
            "BLOCK_DIM": _block(self.text.shape[1], largest.dim),
            "num_warps": largest.warps,
            **how,
        }

    def block_out(self) -> int:
        """Columns of a gradient that one program holds: 512 fill the registers of 8 warps."""
        is_half = _products(self.frames.dtype, self.text.dtype)["GRADIENT_TERMS"] > 1
        return _block(self.text.shape[1], 512 if is_half else 128)


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """The largest tiles of a kernel; those of 64 or more rows are products of four warps each."""

    rows: int
    classes: int
    dim: int = 64
    warps: int = 8
    warps_of_float32: int = 4


FORWARD = Tiles(rows=64, classes=128)
STATISTICS = Tiles(rows=64, classes=64)
SCORES = Tiles(rows=32, classes=64, warps=4)
# Beside 64 x 512 sums, more of the other axis or of the columns at once would spill.
FRAMES = Tiles(rows=64, classes=32)
TEXT = Tiles(rows=32, classes=64, dim=32, warps_of_float32=8)


def frame_softmax_forward(
    frames: Tensor, text: Tensor, logit_scale: Tensor, targets: Tensor | None = None
) -> tuple[FrameLogits, Tensor | None]:
    """Normalisers, and with targets `[view class]` the cross-entropy `[view frame]` as well.

    Frames, text and logit scale must be those of `fusion_inputs`.
    """
    frames, text = frames.contiguous(), text.contiguous()
    inverse = inverse_lengths(frames), inverse_lengths(text)
    normaliser, words = torch.empty_like(inverse[0]), _words(frames, text)
    logits = FrameLogits(frames, text, logit_scale, *inverse, normaliser, words)
    losses = None if targets is None else torch.empty_like(logits.normaliser)
    tiles = logits.tiles(FORWARD)
    num_rows = logits.normaliser.numel()
    launch(
        _frame_softmax_forward_kernel,
        (blocks_over(num_rows, tiles["BLOCK_ROWS"]),),
        *logits.arguments,
        None if targets is None else targets.contiguous(),
        losses,
        num_rows,
        frames.shape[1],
        *text.shape,
        **tiles,
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
        self.logits, self.upstream = logits, upstream
        self.total = torch.empty_like(logits.normaliser)
        self.along = torch.empty_like(logits.normaliser)
        self.num_rows = logits.normaliser.numel()
        self.sizes = (self.num_rows, logits.frames.shape[1], *logits.text.shape)
        self.arguments = (*logits.arguments, upstream, scores, self.total, self.along)
        self.num_slices = blocks_over(logits.text.shape[1], logits.block_out())
        tiles = logits.tiles(STATISTICS)
        grid = (blocks_over(self.num_rows, tiles["BLOCK_ROWS"]),)
        launch(_frame_softmax_backward_kernel, grid, *self.arguments, *self.sizes, **tiles)

    def of_frames(self) -> Tensor:
        grad = torch.empty_like(self.logits.frames)
        tiles = self.logits.tiles(FRAMES)
        grid = (blocks_over(self.num_rows, tiles["BLOCK_ROWS"]), self.num_slices)
        spread = self._spread(self.logits.class_inverse)
        self._launch(_frames_backward_kernel, grid, spread, grad, tiles)
        return grad

    def of_text(self) -> Tensor:
        text = self.logits.text
        tiles = self.logits.tiles(TEXT)
        # Their sums [split class dim] stay below three quarters of a tensor [view frame class].
        num_splits = max(1, min(MAX_SPLITS, 3 * self.num_rows // (4 * text.shape[1])))
        sums = self.total.new_empty(num_splits, *text.shape)
        grid = (blocks_over(len(text), tiles["BLOCK_CLASSES"]), self.num_slices, num_splits)
        spread = self._spread(self.logits.row_inverse)
        self._launch(_text_backward_kernel, grid, spread, sums, tiles)
        inverse = self.logits.class_inverse[:, None]
        unit = text * inverse
        pulled = sums.sum(0)
        pulled -= unit * (unit * pulled).sum(-1, keepdim=True)
        return (self.logits.logit_scale * inverse * pulled).to(text.dtype)

    def _spread(self, inverse: Tensor) -> Tensor | None:
        """What brings the gradients into the range of float16, the largest below its end, `[]`."""
        if self.logits.frames.dtype != torch.float16 or self.logits.text.dtype != torch.float16:
            return None
        # |d_rc| <= |A_rc| + p_rc |q_r|, and a frame's share of a score's gradient is below it.
        bound = 2 * self.upstream.abs().sum(-1).amax() * inverse.amax()
        return 2.0**15 / bound.clamp(min=1e-30)

    def _launch(
        self, kernel: Any, grid: tuple, spread: Tensor | None, out: Tensor, tiles: dict[str, Any]
    ) -> None:
        more = {**tiles, "BLOCK_OUT": self.logits.block_out()}
        launch(kernel, grid, *self.arguments, spread, out, *self.sizes, **more)


def _block(size: int, largest: int) -> int:
    """Tile size; matrix instructions need at least 16."""
    return max(16, min(power_of_2_from(size), largest))


def _words(frames: Tensor, text: Tensor) -> Tensor:
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
