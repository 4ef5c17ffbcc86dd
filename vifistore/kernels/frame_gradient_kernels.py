"""Kernels of the gradients, for vifistore.kernels.frame_softmax, which holds the formulas."""

from vifistore.kernels.dispatch import tl, triton
from vifistore.kernels.frame_softmax_tiles import (
    add_products,
    cosine_tile,
    gradient_tile,
    load_rows,
)


@triton.jit
def _frames_backward_kernel(
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
    spread_ptr,
    grad_frames_ptr,
    num_rows,
    num_frames,
    num_classes,
    dim,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_CLASSES: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
    BLOCK_OUT: tl.constexpr,
    DOT_TYPE: tl.constexpr,
    TERM_TYPE: tl.constexpr,
    TEXT_TERMS: tl.constexpr,
    GRADIENT_TERMS: tl.constexpr,
):
    """d x_r; one program a tile of rows, and a slice of columns where one holds not all."""
    rows = tl.program_id(0) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    columns = tl.program_id(1) * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
    scale = tl.load(scale_ptr)
    spread = 1.0 if spread_ptr is None else tl.load(spread_ptr)
    pulled = tl.zeros([BLOCK_ROWS, BLOCK_OUT], scale.dtype)
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
        gradient = gradient_tile(
            cosines,
            scale,
            rows[:, None],
            classes[None, :],
            normaliser_ptr,
            upstream_ptr,
            scores_ptr,
            total_ptr,
            num_rows,
            num_frames,
            num_classes,
        )
        inverse = tl.load(class_inverse_ptr + classes, mask=classes < num_classes, other=0.0)
        pulled = add_products(
            pulled,
            gradient * (inverse * spread)[None, :],
            text_ptr,
            classes,
            columns,
            num_classes,
            dim,
            DOT_TYPE,
            TERM_TYPE,
            GRADIENT_TERMS,
            TEXT_TERMS,
        )
    inverse = tl.load(row_inverse_ptr + rows, mask=rows < num_rows, other=0.0)[:, None]
    along = tl.load(along_ptr + rows, mask=rows < num_rows, other=0.0)[:, None]
    x = load_rows(frames_ptr, rows, columns, num_rows, dim).to(scale.dtype)
    grad = scale * inverse * (pulled / spread - along * inverse * x)
    offsets = rows.to(tl.int64)[:, None] * dim + columns[None, :]
    inside = (rows < num_rows)[:, None] & (columns < dim)[None, :]
    tl.store(grad_frames_ptr + offsets, grad.to(grad_frames_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _text_backward_kernel(
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
    spread_ptr,
    sums_ptr,
    num_rows,
    num_frames,
    num_classes,
    dim,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_CLASSES: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
    BLOCK_OUT: tl.constexpr,
    DOT_TYPE: tl.constexpr,
    TERM_TYPE: tl.constexpr,
    TEXT_TERMS: tl.constexpr,
    GRADIENT_TERMS: tl.constexpr,
):
    """G_c over one split of the rows: a tile of classes, every n-th tile of rows, and a slice of
    columns where one program holds not all."""
    classes = tl.program_id(0) * BLOCK_CLASSES + tl.arange(0, BLOCK_CLASSES)
    columns = tl.program_id(1) * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
    split = tl.program_id(2)
    stride = tl.num_programs(2) * BLOCK_ROWS
    scale = tl.load(scale_ptr)
    spread = 1.0 if spread_ptr is None else tl.load(spread_ptr)
    sums = tl.zeros([BLOCK_CLASSES, BLOCK_OUT], scale.dtype)
    for start in range(split * BLOCK_ROWS, num_rows, stride):
        rows = start + tl.arange(0, BLOCK_ROWS)
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
            True,
        )
        gradient = gradient_tile(
            cosines,
            scale,
            rows[None, :],
            classes[:, None],
            normaliser_ptr,
            upstream_ptr,
            scores_ptr,
            total_ptr,
            num_rows,
            num_frames,
            num_classes,
        )
        inverse = tl.load(row_inverse_ptr + rows, mask=rows < num_rows, other=0.0)
        sums = add_products(
            sums,
            gradient * (inverse * spread)[None, :],
            frames_ptr,
            rows,
            columns,
            num_rows,
            dim,
            DOT_TYPE,
            TERM_TYPE,
            GRADIENT_TERMS,
            1,
        )
    offsets = (split * num_classes + classes).to(tl.int64)[:, None] * dim + columns[None, :]
    inside = (classes < num_classes)[:, None] & (columns < dim)[None, :]
    tl.store(sums_ptr + offsets, sums / spread, mask=inside)
