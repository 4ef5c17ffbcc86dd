"""Kernels of sums over classes, for vifistore.kernels.frame_softmax, which holds the formulas."""

from vifistore.kernels.dispatch import tl, triton
from vifistore.kernels.frame_softmax_tiles import (
    cosine_tile,
    load_views,
    log_probabilities,
    upstream_tile,
)


@triton.jit
def _frame_softmax_forward_kernel(
    frames_ptr,
    text_ptr,
    scale_ptr,
    row_inverse_ptr,
    class_inverse_ptr,
    normaliser_ptr,
    targets_ptr,
    losses_ptr,
    total_ptr,
    along_ptr,
    num_rows,
    num_frames,
    num_classes,
    dim,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_CLASSES: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
    DOT_TYPE: tl.constexpr,
    TERM_TYPE: tl.constexpr,
    TEXT_TERMS: tl.constexpr,
    GRADIENT_TERMS: tl.constexpr,
):
    """n_r; with targets the cross-entropy of each row too, and q_r and e_r of them as A.

    One program a tile of rows.
    """
    rows = tl.program_id(0) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    scale = tl.load(scale_ptr)
    largest = tl.full([BLOCK_ROWS], float("-inf"), scale.dtype)
    total = tl.zeros([BLOCK_ROWS], scale.dtype)
    target_total = tl.zeros([BLOCK_ROWS], scale.dtype)
    target_cosine = tl.zeros([BLOCK_ROWS], scale.dtype)
    mean_cosine = tl.zeros([BLOCK_ROWS], scale.dtype)
    for start in range(0, num_classes, BLOCK_CLASSES):
        classes = start + tl.arange(0, BLOCK_CLASSES)
        cosines = cosine_tile(
            frames_ptr,
            text_ptr,
            row_inverse_ptr,
            class_inverse_ptr,
            rows,
            classes,
            num_rows,
            num_classes,
            dim,
            BLOCK_DIM,
            DOT_TYPE,
            TEXT_TERMS,
            False,
        )
        logits = tl.where((classes < num_classes)[None, :], scale * cosines, float("-inf"))
        new_largest = tl.maximum(largest, tl.max(logits, axis=1))
        faded, powers = tl.exp(largest - new_largest), tl.exp(logits - new_largest[:, None])
        total = total * faded + tl.sum(powers, axis=1)
        largest = new_largest
        if targets_ptr is not None:
            mean_cosine = mean_cosine * faded + tl.sum(powers * cosines, axis=1)
            targets = load_views(
                targets_ptr, rows[:, None], classes[None, :], num_rows, num_frames, num_classes
            )
            target_total += tl.sum(targets, axis=1)
            target_cosine += tl.sum(targets * cosines, axis=1)
    normaliser, inside = largest + tl.log(total), rows < num_rows
    tl.store(normaliser_ptr + rows, normaliser, mask=inside)
    if targets_ptr is not None:
        # Triton 3.6 cannot compile a sum over a loop's reductions that is used twice: a select is
        # the one use of each.
        target_total = tl.where(inside, target_total, 0.0)
        target_cosine = tl.where(inside, target_cosine, 0.0)
        losses = normaliser * target_total - scale * target_cosine
        along = target_cosine - target_total * (mean_cosine / total)
        tl.store(losses_ptr + rows, losses, mask=inside)
        tl.store(total_ptr + rows, target_total, mask=inside)
        tl.store(along_ptr + rows, along, mask=inside)


@triton.jit
def _frame_softmax_backward_kernel(
    frames_ptr,
    text_ptr,
    scale_ptr,
    row_inverse_ptr,
    class_inverse_ptr,
    normaliser_ptr,
    upstream_ptr,
    scores_ptr,
    total_ptr,
    along_ptr,
    num_rows,
    num_frames,
    num_classes,
    dim,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_CLASSES: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
    DOT_TYPE: tl.constexpr,
    TERM_TYPE: tl.constexpr,
    TEXT_TERMS: tl.constexpr,
    GRADIENT_TERMS: tl.constexpr,
):
    """q_r and e_r = sum_c A_rc k_rc - q_r sum_c p_rc k_rc; one program a tile of rows."""
    rows = tl.program_id(0) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    scale = tl.load(scale_ptr)
    total = tl.zeros([BLOCK_ROWS], scale.dtype)
    along = tl.zeros([BLOCK_ROWS], scale.dtype)
    mean_cosine = tl.zeros([BLOCK_ROWS], scale.dtype)
    for start in range(0, num_classes, BLOCK_CLASSES):
        classes = start + tl.arange(0, BLOCK_CLASSES)
        cosines = cosine_tile(
            frames_ptr,
            text_ptr,
            row_inverse_ptr,
            class_inverse_ptr,
            rows,
            classes,
            num_rows,
            num_classes,
            dim,
            BLOCK_DIM,
            DOT_TYPE,
            TEXT_TERMS,
            False,
        )
        down, across = rows[:, None], classes[None, :]
        log_p = log_probabilities(
            cosines, scale, down, across, normaliser_ptr, num_rows, num_classes
        )
        upstream = upstream_tile(
            log_p, down, across, upstream_ptr, scores_ptr, num_rows, num_frames, num_classes
        )
        total += tl.sum(upstream, axis=1)
        along += tl.sum(upstream * cosines, axis=1)
        mean_cosine += tl.sum(tl.exp(log_p) * cosines, axis=1)
    inside = rows < num_rows
    # As above.
    total = tl.where(inside, total, 0.0)
    tl.store(total_ptr + rows, total, mask=inside)
    tl.store(along_ptr + rows, along - total * mean_cosine, mask=inside)
