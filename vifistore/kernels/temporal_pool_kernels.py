"""The Triton kernels of vifistore.kernels.temporal_pool, which holds their formulas."""

from vifistore.kernels.dispatch import tl, triton


@triton.jit
def _load_frames(
    frames_ptr,
    view_stride,
    frame_stride,
    dim_stride,
    view,
    rows,
    columns,
    num_frames,
    dim,
):
    """A tile of one view, zero beyond its ends."""
    offsets = rows.to(tl.int64)[:, None] * frame_stride + columns.to(tl.int64)[None, :] * dim_stride
    inside = (rows < num_frames)[:, None] & (columns < dim)[None, :]
    return tl.load(frames_ptr + view * view_stride + offsets, mask=inside, other=0.0)


@triton.jit
def _counts(counted_ptr, view, rows, num_frames):
    """Which frames count: those before the end, and with a mask those that it holds."""
    counts = rows < num_frames
    if counted_ptr is not None:
        counts &= tl.load(counted_ptr + view * num_frames + rows, mask=counts, other=0) != 0
    return counts


@triton.jit
def _inverse_lengths(tile):
    """1 / |row| of each row of a tile, and zero for a zero row."""
    squares = tl.sum(tile * tile, axis=1)
    is_zero = squares == 0.0
    return tl.where(is_zero, 0.0, 1.0 / tl.sqrt(tl.where(is_zero, 1.0, squares)))


@triton.jit
def _temporal_pool_forward_kernel(
    frames_ptr,
    view_stride,
    frame_stride,
    dim_stride,
    counted_ptr,
    num_counted_ptr,
    stored_ptr,
    mean_ptr,
    consensus_ptr,
    num_views,
    num_frames,
    dim,
    BLOCK_FRAMES: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
    STAGES: tl.constexpr,
):
    """Every n-th view. One loop over all of their tiles, so that loads run ahead from one view into
    the next: STAGES - 1 tiles are on their way while one is summed."""
    first, stride = tl.program_id(0), tl.num_programs(0)
    columns = tl.arange(0, BLOCK_DIM)
    dtype = mean_ptr.dtype.element_ty
    num_tiles = tl.cdiv(num_frames, BLOCK_FRAMES)
    # Summed over tiles as they are and over rows once at the end: one reduction, not one a tile.
    total = tl.zeros([BLOCK_FRAMES, BLOCK_DIM], dtype)
    unit_total = tl.zeros([BLOCK_FRAMES, BLOCK_DIM], dtype)
    for step in tl.range(0, tl.cdiv(num_views - first, stride) * num_tiles, num_stages=STAGES):
        view = (first + step // num_tiles * stride).to(tl.int64)
        rows = step % num_tiles * BLOCK_FRAMES + tl.arange(0, BLOCK_FRAMES)
        tile = _load_frames(
            frames_ptr,
            view_stride,
            frame_stride,
            dim_stride,
            view,
            rows,
            columns,
            num_frames,
            dim,
        )
        if stored_ptr is not None:
            tile = tile.to(tl.float16)
            # A pointer a row: with one an element Triton 3.9 runs out of registers.
            row_ptrs = stored_ptr + (view * num_frames + rows)[:, None] * dim
            written = (rows < num_frames)[:, None] & (columns < dim)[None, :]
            tl.store(row_ptrs + columns[None, :], tile, mask=written)
        tile = tile.to(dtype)
        if counted_ptr is not None:
            # Selecting, not multiplying: a NaN in a frame that is left out must not come through.
            counts = _counts(counted_ptr, view, rows, num_frames)
            tile = tl.where(counts[:, None], tile, 0.0)
        total += tile
        unit_total += tile * _inverse_lengths(tile)[:, None]
        if step % num_tiles == num_tiles - 1:
            count = num_frames if num_counted_ptr is None else tl.load(num_counted_ptr + view)
            here, inside = view * dim + columns, columns < dim
            tl.store(mean_ptr + here, tl.sum(total, axis=0) / count, mask=inside)
            tl.store(consensus_ptr + here, tl.sum(unit_total, axis=0) / count, mask=inside)
            total = tl.zeros([BLOCK_FRAMES, BLOCK_DIM], dtype)
            unit_total = tl.zeros([BLOCK_FRAMES, BLOCK_DIM], dtype)


@triton.jit
def _temporal_pool_backward_kernel(
    frames_ptr,
    view_stride,
    frame_stride,
    dim_stride,
    counted_ptr,
    num_counted_ptr,
    grad_mean_ptr,
    grad_consensus_ptr,
    grad_frames_ptr,
    num_frames,
    dim,
    BLOCK_FRAMES: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
):
    view = tl.program_id(0).to(tl.int64)
    rows = tl.program_id(1) * BLOCK_FRAMES + tl.arange(0, BLOCK_FRAMES)
    columns = tl.arange(0, BLOCK_DIM)
    inside = columns < dim
    # Triton types a kernel as what never returns, as it does outside of one.
    tile = _load_frames(  # pyright: ignore[reportGeneralTypeIssues]
        frames_ptr,
        view_stride,
        frame_stride,
        dim_stride,
        view,
        rows,
        columns,
        num_frames,
        dim,
    )
    counts = _counts(counted_ptr, view, rows, num_frames)
    grad_mean = tl.load(grad_mean_ptr + view * dim + columns, mask=inside, other=0.0)
    grad_unit = tl.load(grad_consensus_ptr + view * dim + columns, mask=inside, other=0.0)
    tile = tile.to(grad_mean.dtype)
    inverse = _inverse_lengths(tile)[:, None]
    unit = tile * inverse
    along = tl.sum(unit * grad_unit[None, :], axis=1)[:, None]
    count = num_frames if num_counted_ptr is None else tl.load(num_counted_ptr + view)
    grad = (grad_mean[None, :] + inverse * (grad_unit[None, :] - unit * along)) / count
    grad = tl.where(counts[:, None], grad, 0.0)
    offsets = (view * num_frames + rows)[:, None] * dim + columns[None, :]
    written = (rows < num_frames)[:, None] & inside[None, :]
    tl.store(grad_frames_ptr + offsets, grad.to(grad_frames_ptr.dtype.element_ty), mask=written)
