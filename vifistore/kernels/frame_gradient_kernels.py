"""Kernels of the gradients, for vifistore.kernels.frame_softmax, which holds the formulas.

The gradients of a part of the logits are written once, as terms `[term row class]`, and both
products with them read that: plain products of matrices, which need no logits made anew.
"""

from vifistore.kernels.dispatch import tl, triton
from vifistore.kernels.frame_softmax_tiles import (
    cosine_tile,
    gradient_tile,
    load_rows,
    rounded,
)


@triton.jit
def _logit_gradient_kernel(
    frames_ptr,
    text_ptr,
    scale_ptr,
    row_inverse_ptr,
    class_inverse_ptr,
    normaliser_ptr,
    upstream_ptr,
    scores_ptr,
    total_ptr,
    spread_ptr,
    terms_ptr,
    first_row,
    end_row,
    num_frames,
    num_classes,
    dim,
    width,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_CLASSES: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
    DOT_TYPE: tl.constexpr,
    TERM_TYPE: tl.constexpr,
    TEXT_TERMS: tl.constexpr,
    GRADIENT_TERMS: tl.constexpr,
):
    """a_rc of rows from the first one on, one program a tile; lines of `width` end in zeros."""
    own = tl.program_id(0) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    rows = first_row + own
    classes = tl.program_id(1) * BLOCK_CLASSES + tl.arange(0, BLOCK_CLASSES)
    scale = tl.load(scale_ptr)
    spread = 1.0 if spread_ptr is None else tl.load(spread_ptr)
    cosines = cosine_tile(
        frames_ptr,
        text_ptr,
        row_inverse_ptr,
        class_inverse_ptr,
        rows,
        classes,
        end_row,
        num_classes,
        dim,
        BLOCK_DIM,
        DOT_TYPE,
        TEXT_TERMS,
        False,
    )
    rest = gradient_tile(
        cosines,
        scale,
        rows[:, None],
        classes[None, :],
        normaliser_ptr,
        upstream_ptr,
        scores_ptr,
        total_ptr,
        end_row,
        num_frames,
        num_classes,
    )
    row_inverse = tl.load(row_inverse_ptr + rows, mask=rows < end_row, other=0.0)
    class_inverse = tl.load(class_inverse_ptr + classes, mask=classes < num_classes, other=0.0)
    rest *= row_inverse[:, None] * (class_inverse * spread)[None, :]
    offsets = own.to(tl.int64)[:, None] * width + classes[None, :]
    inside = (rows < end_row)[:, None] & (classes < width)[None, :]
    for term in tl.static_range(GRADIENT_TERMS):
        part = rounded(rest, DOT_TYPE, TERM_TYPE)
        part_ptr = terms_ptr + term * (end_row - first_row).to(tl.int64) * width
        tl.store(part_ptr + offsets, part.to(terms_ptr.dtype.element_ty), mask=inside)
        rest -= part.to(rest.dtype)


@triton.jit
def _frames_gradient_kernel(
    terms_ptr,
    text_ptr,
    frames_ptr,
    scale_ptr,
    row_inverse_ptr,
    along_ptr,
    spread_ptr,
    grad_frames_ptr,
    first_row,
    end_row,
    num_classes,
    dim,
    width,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_CLASSES: tl.constexpr,
    BLOCK_OUT: tl.constexpr,
    DOT_TYPE: tl.constexpr,
    TEXT_TERMS: tl.constexpr,
    GRADIENT_TERMS: tl.constexpr,
):
    """d x_r of rows from the first one on; one program a tile of rows and of columns.

    Products of two small terms are left out.
    """
    own = tl.program_id(0) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    columns = tl.program_id(1) * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
    rows, num_rows = first_row + own, end_row - first_row
    scale = tl.load(scale_ptr)
    spread = 1.0 if spread_ptr is None else tl.load(spread_ptr)
    pulled = tl.zeros([BLOCK_ROWS, BLOCK_OUT], scale.dtype)
    for start in range(0, num_classes, BLOCK_CLASSES):
        classes = start + tl.arange(0, BLOCK_CLASSES)
        high = load_rows(terms_ptr, own, classes, num_rows, width).to(DOT_TYPE)
        for lower in tl.static_range(TEXT_TERMS):
            words_ptr = text_ptr + lower * num_classes * dim
            words = load_rows(words_ptr, classes, columns, num_classes, dim).to(DOT_TYPE)
            pulled = tl.dot(high, words, pulled, input_precision="ieee", out_dtype=pulled.dtype)
            if GRADIENT_TERMS == 2 and lower == 0:
                low_ptr = terms_ptr + num_rows.to(tl.int64) * width
                low = load_rows(low_ptr, own, classes, num_rows, width).to(DOT_TYPE)
                pulled = tl.dot(low, words, pulled, input_precision="ieee", out_dtype=pulled.dtype)
    inverse = tl.load(row_inverse_ptr + rows, mask=rows < end_row, other=0.0)
    along = tl.load(along_ptr + rows, mask=rows < end_row, other=0.0) * inverse * inverse
    x = load_rows(frames_ptr, rows, columns, end_row, dim).to(scale.dtype)
    grad = scale * (pulled / spread - along[:, None] * x)
    offsets = rows.to(tl.int64)[:, None] * dim + columns[None, :]
    inside = (rows < end_row)[:, None] & (columns < dim)[None, :]
    tl.store(grad_frames_ptr + offsets, grad.to(grad_frames_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _text_gradient_kernel(
    terms_ptr,
    frames_ptr,
    sums_ptr,
    first_row,
    end_row,
    num_classes,
    dim,
    width,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_CLASSES: tl.constexpr,
    BLOCK_OUT: tl.constexpr,
    DOT_TYPE: tl.constexpr,
    GRADIENT_TERMS: tl.constexpr,
):
    """Adds a part of the rows to H_c; one program a tile of classes, of columns, and a split of the
    rows, of which it takes every n-th tile."""
    classes = tl.program_id(0) * BLOCK_CLASSES + tl.arange(0, BLOCK_CLASSES)
    columns = tl.program_id(1) * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
    split = tl.program_id(2)
    num_rows, stride = end_row - first_row, tl.num_programs(2) * BLOCK_ROWS
    offsets = (split * num_classes + classes).to(tl.int64)[:, None] * dim + columns[None, :]
    inside = (classes < num_classes)[:, None] & (columns < dim)[None, :]
    sums = tl.load(sums_ptr + offsets, mask=inside, other=0.0)
    for start in range(split * BLOCK_ROWS, num_rows, stride):
        own = start + tl.arange(0, BLOCK_ROWS)
        x = load_rows(frames_ptr, first_row + own, columns, end_row, dim).to(DOT_TYPE)
        for term in tl.static_range(GRADIENT_TERMS):
            part_ptr = terms_ptr + term * num_rows.to(tl.int64) * width
            part = load_rows(part_ptr, own, classes, num_rows, width).to(DOT_TYPE)
            sums = tl.dot(tl.trans(part), x, sums, input_precision="ieee", out_dtype=sums.dtype)
    tl.store(sums_ptr + offsets, sums, mask=inside)
