"""Tiles of every frame's logits, and of their gradients, made where they are needed.

Device functions of the kernels in vifistore.kernels.frame_softmax, which holds the formulas. A tile
is `[row class]` or `[class row]`: rows and classes are given as a column and a line of it, in
either order. Rows and classes beyond the end have probability zero and no upstream gradient.
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
    TEXT_TERMS: tl.constexpr,
    CLASSES_FIRST: tl.constexpr,
):
    """Cosine similarities k_rc, `[row class]` or `[class row]`; lengths are divided out after the
    products, which are exact."""
    dtype = row_inverse_ptr.dtype.element_ty
    if CLASSES_FIRST:
        products = tl.zeros([classes.shape[0], rows.shape[0]], dtype)
    else:
        products = tl.zeros([rows.shape[0], classes.shape[0]], dtype)
    for start in range(0, dim, BLOCK_DIM):
        columns = start + tl.arange(0, BLOCK_DIM)
        x = load_rows(frames_ptr, rows, columns, num_rows, dim).to(DOT_TYPE)
        for term in tl.static_range(TEXT_TERMS):
            words_ptr = text_ptr + term * num_classes * dim
            w = load_rows(words_ptr, classes, columns, num_classes, dim).to(DOT_TYPE)
            # TF32, the default, is off by 0.1 of a logit once the scale of 100 multiplies it.
            if CLASSES_FIRST:
                products = tl.dot(w, tl.trans(x), products, input_precision="ieee", out_dtype=dtype)
            else:
                products = tl.dot(x, tl.trans(w), products, input_precision="ieee", out_dtype=dtype)
    row_inverse = tl.load(row_inverse_ptr + rows, mask=rows < num_rows, other=0.0)
    class_inverse = tl.load(class_inverse_ptr + classes, mask=classes < num_classes, other=0.0)
    if CLASSES_FIRST:
        products *= row_inverse[None, :] * class_inverse[:, None]
    else:
        products *= row_inverse[:, None] * class_inverse[None, :]
    return products


@triton.jit
def log_probabilities(cosines, scale, rows, classes, normaliser_ptr, num_rows, num_classes):
    """log p_rc of a tile, minus infinity beyond the ends."""
    inside = (rows < num_rows) & (classes < num_classes)
    normaliser = tl.load(normaliser_ptr + rows, mask=rows < num_rows, other=0.0)
    return tl.where(inside, scale * cosines - normaliser, float("-inf"))


@triton.jit
def load_views(matrix_ptr, rows, classes, num_rows, num_frames, num_classes):
    """Tile of a `[view class]` matrix, the row of a frame being that of its view."""
    inside = (rows < num_rows) & (classes < num_classes)
    offsets = (rows // num_frames).to(tl.int64) * num_classes + classes
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
    cosines,
    scale,
    rows,
    classes,
    normaliser_ptr,
    upstream_ptr,
    scores_ptr,
    total_ptr,
    num_rows,
    num_frames,
    num_classes,
):
    """d_rc, the gradient of a tile of logits."""
    log_p = log_probabilities(cosines, scale, rows, classes, normaliser_ptr, num_rows, num_classes)
    upstream = upstream_tile(
        log_p, rows, classes, upstream_ptr, scores_ptr, num_rows, num_frames, num_classes
    )
    total = tl.load(total_ptr + rows, mask=rows < num_rows, other=0.0)
    return upstream - tl.exp(log_p) * total


@triton.jit
def rounded(values, DOT_TYPE: tl.constexpr, TERM_TYPE: tl.constexpr):
    """Float32 values rounded to half precision, as DOT_TYPE."""
    if DOT_TYPE == TERM_TYPE:
        return values.to(TERM_TYPE)
    else:
        # The interpreter multiplies no bfloat16 and cuts off where it should round.
        bits = values.to(tl.uint32, bitcast=True)
        bits += 0x7FFF + ((bits >> 16) & 1)
        return (bits & 0xFFFF0000).to(tl.float32, bitcast=True)
