"""Tiles [row class] of every frame's logits, and of their gradients, made where they are needed.

Device functions of the kernels in vifistore.kernels.frame_softmax, which holds the formulas. Rows
and classes beyond the end have probability zero and no upstream gradient.
"""

from vifistore.kernels.dispatch import tl, triton


@triton.jit
def load_rows(matrix_ptr, rows, columns, num_rows, num_columns):
    """Tile of a contiguous matrix, zero beyond its ends."""
    inside = (rows < num_rows)[:, None] & (columns < num_columns)[None, :]
    offsets = rows.to(tl.int64)[:, None] * num_columns + columns[None, :]
    return tl.load(matrix_ptr + offsets, mask=inside, other=0.0)


@triton.jit
def cosine_tile(
    frames_ptr,
    text_ptr,
    row_inverse_ptr,
    class_inverse_ptr,
    rows,
    classes,
    num_rows,
    num_classes,
    dim,
    BLOCK_DIM: tl.constexpr,
    DOT_TYPE: tl.constexpr,
):
    """Cosine similarities k_rc; lengths are divided out after the products, which are exact."""
    dtype = row_inverse_ptr.dtype.element_ty
    products = tl.zeros([rows.shape[0], classes.shape[0]], dtype)
    for start in range(0, dim, BLOCK_DIM):
        columns = start + tl.arange(0, BLOCK_DIM)
        x = load_rows(frames_ptr, rows, columns, num_rows, dim).to(DOT_TYPE)
        w = load_rows(text_ptr, classes, columns, num_classes, dim).to(DOT_TYPE)
        # The default, TF32, is off by 0.1 of a logit once the scale of 100 multiplies it.
        products = tl.dot(x, tl.trans(w), products, input_precision="ieee", out_dtype=dtype)
    row_inverse = tl.load(row_inverse_ptr + rows, mask=rows < num_rows, other=0.0)
    class_inverse = tl.load(class_inverse_ptr + classes, mask=classes < num_classes, other=0.0)
    return products * row_inverse[:, None] * class_inverse[None, :]


@triton.jit
def log_probabilities(cosines, scale, rows, classes, normaliser_ptr, num_rows, num_classes):
    """log p_rc of a tile, minus infinity beyond the ends."""
    inside = (rows < num_rows)[:, None] & (classes < num_classes)[None, :]
    normaliser = tl.load(normaliser_ptr + rows, mask=rows < num_rows, other=0.0)
    return tl.where(inside, scale * cosines - normaliser[:, None], float("-inf"))


@triton.jit
def load_views(matrix_ptr, rows, classes, num_rows, num_frames, num_classes):
    """Tile of a `[view class]` matrix, the row of a frame being that of its view."""
    inside = (rows < num_rows)[:, None] & (classes < num_classes)[None, :]
    offsets = (rows // num_frames).to(tl.int64)[:, None] * num_classes + classes[None, :]
    return tl.load(matrix_ptr + offsets, mask=inside, other=0.0)


@triton.jit
def upstream_tile(
    log_p, rows, classes, upstream_ptr, scores_ptr, num_rows, num_frames, num_classes
):
    """A_rc: given as it is, or a frame's share p_vtc / sum_t p_vtc of what a view's score gets."""
    upstream = load_views(upstream_ptr, rows, classes, num_rows, num_frames, num_classes)
    if scores_ptr is not None:
        scores = load_views(scores_ptr, rows, classes, num_rows, num_frames, num_classes)
        upstream *= tl.exp(log_p - scores) / num_frames
    return upstream


@triton.jit
def gradient_tile(
    frames_ptr,
    text_ptr,
    scale_ptr,
    row_inverse_ptr,
    class_inverse_ptr,
    normaliser_ptr,
    upstream_ptr,
    scores_ptr,
    total_ptr,
    rows,
    classes,
    num_rows,
    num_frames,
    num_classes,
    dim,
    BLOCK_DIM: tl.constexpr,
    DOT_TYPE: tl.constexpr,
):
    """d_rc, the gradient of a tile of logits."""
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
    )
    log_p = log_probabilities(
        cosines, tl.load(scale_ptr), rows, classes, normaliser_ptr, num_rows, num_classes
    )
    upstream = upstream_tile(
        log_p, rows, classes, upstream_ptr, scores_ptr, num_rows, num_frames, num_classes
    )
    total = tl.load(total_ptr + rows, mask=rows < num_rows, other=0.0)
    return upstream - tl.exp(log_p) * total[:, None]
