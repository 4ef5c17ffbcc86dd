"""Softmax over classes of every frame's logits, in tiles that never leave the chip.

Shared by fusion_scores and fusion_cross_entropy. A row r is one frame of one view, x_r its
embedding, w_c a text embedding, s the logit scale:

    k_rc = (x_r . w_c) / (|x_r| |w_c|)        cosine
    n_r  = log sum_c exp(s k_rc)              normaliser
    p_rc = exp(s k_rc - n_r)                  probability

Gradients start from A_rc, the upstream gradient of log p_rc (formulas in the two files):

    q_r   = sum_c A_rc,    d_rc = A_rc - p_rc q_r          gradient of the logits
    e_r   = sum_c d_rc k_rc,    d s = sum_r e_r
    a_rc  = d_rc / (|x_r| |w_c|),   H_c = sum_r a_rc x_r
    d x_r = s (sum_c a_rc w_c - e_r x_r/|x_r|^2)
    d w_c = s (H_c - (w_c/|w_c| . H_c) w_c/|w_c|)

Logits are computed again for the gradients (as in FlashAttention, Dao et al. 2022): reading all of
them back would cost more than the product. a_rc is written for a part of the rows at a time, which
a GPU's cache holds, and read by the products of both gradients. Nothing is added atomically, so
results repeat.

Products run on tensor cores where frames are float16 or bfloat16. There a float32 number is the sum
of two of half precision, which leaves 2^-17 of it in bfloat16 and 2^-22 in float16: so a_rc is
taken, and a float32 text beside bfloat16 frames. Half-precision frames and texts are exact.
"""

import torch
from torch import Tensor

from vifistore.kernels.dispatch import blocks_over, launch
from vifistore.kernels.frame_logits import FrameLogits, RowSums, inverse_lengths, words_of
from vifistore.kernels.frame_softmax_kernels import (
    _frame_softmax_backward_kernel,
    _frame_softmax_forward_kernel,
)
from vifistore.kernels.row_gradients import RowGradients
from vifistore.kernels.tile_choices import FORWARD, STATISTICS


def frame_softmax_forward(
    frames: Tensor, text: Tensor, logit_scale: Tensor, targets: Tensor | None = None
) -> tuple[FrameLogits, tuple[Tensor, RowSums] | None]:
    """Normalisers; with targets `[view class]` also the cross-entropy `[view frame]`, and what its
    gradient needs, the sums over classes of the targets as A.

    Frames, text and logit scale must be those of `fusion_inputs`.
    """
    frames, text = frames.contiguous(), text.contiguous()
    inverse = inverse_lengths(frames), inverse_lengths(text)
    normaliser, words = torch.empty_like(inverse[0]), words_of(frames, text)
    logits = FrameLogits(frames, text, logit_scale, *inverse, normaliser, words)
    of_rows = None
    if targets is not None:
        losses, *sums = normaliser.new_empty(3, *normaliser.shape)
        targets, of_rows = targets.contiguous(), (losses, RowSums(*sums))
    tiles = logits.tiles(FORWARD)
    num_rows = normaliser.numel()
    launch(
        _frame_softmax_forward_kernel,
        (blocks_over(num_rows, tiles["BLOCK_ROWS"]),),
        *logits.arguments,
        targets,
        *((None, None, None) if of_rows is None else (of_rows[0], *of_rows[1])),
        num_rows,
        frames.shape[1],
        *text.shape,
        **tiles,
    )
    return logits, of_rows


def frame_softmax_backward(
    logits: FrameLogits,
    upstream: Tensor,
    needed: tuple[bool, ...],
    scores: Tensor | None = None,
    sums: RowSums | None = None,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of frames, text and logit scale, those that are `needed`.

    upstream: `[view class]`, A of every frame alike; with image scores `[view class]`, their
    gradient, of which each frame takes its share. sums: those of A, where they are known.
    """
    upstream = upstream.contiguous()
    grads = RowGradients(logits, upstream, scores, sums or _row_sums(logits, upstream, scores))
    frames, text = grads.of_frames_and_text(needed[0], needed[1])
    return frames, text, grads.sums.along.sum() if needed[2] else None


def _row_sums(logits: FrameLogits, upstream: Tensor, scores: Tensor | None) -> RowSums:
    """q_r and e_r, for which logits are made anew."""
    sums = RowSums(*(torch.empty_like(logits.normaliser) for _ in range(2)))
    tiles, num_rows = logits.tiles(STATISTICS), logits.normaliser.numel()
    launch(
        _frame_softmax_backward_kernel,
        (blocks_over(num_rows, tiles["BLOCK_ROWS"]),),
        *logits.arguments,
        *(upstream, scores, *sums),
        *(num_rows, logits.frames.shape[1], *logits.text.shape),
        **tiles,
    )
    return sums
