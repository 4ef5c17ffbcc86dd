"""Pooling of frame embeddings over the frames of a view, in one pass over memory.

For the frames x_1 ... x_T of a view:

    mean      = (1/T) sum_t x_t                embedding fusion ("embedding-level", ViFi-CLIP 4.1)
    consensus = (1/T) sum_t x_t / |x_t|        decision fusion: text . consensus is the mean of the
                                               frames' cosine similarities with that text

With upstream gradients g (of the mean) and h (of the consensus), and u_t = x_t / |x_t|:

    d x_t = (1/T) (g + (h - u_t (u_t . h)) / |x_t|)

A zero frame has no direction: it adds zero to the consensus and takes no gradient through it.
"""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from vifistore.kernels.dispatch import (
    SavedContext,
    blocks_over,
    chosen_way,
    compute_dtype,
    launch,
    power_of_2_from,
    tl,
    triton,
)

# Elements of one tile; with 4 warps 32 a thread, which leaves registers for two sums.
TILE = 4096


def temporal_pool(frames: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean and consensus of frame embeddings over their frames.

    frames: `[..., frame, dim]`, float16, bfloat16, float32 or float64. mask: bool `[..., frame]`,
    True for the frames that count; a view with none gives zeros. Returns `mean, consensus`, two
    `[..., dim]`, float32 (float64 for float64 frames). Differentiable once in `frames`.
    """
    if chosen_way(frames).is_kernel:
        return TemporalPoolFunction.apply(frames, mask)
    return temporal_pool_reference(frames, mask)


def pool_and_round(frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Round frame embeddings to what the store keeps, and pool the rounded values.

    frames: `[..., frame, dim]`. Returns `stored` (float16, like frames), `mean` and `consensus`
    (float32 `[..., dim]`), so that pooling `stored` again gives the same two, on a GPU but for the
    order of sums. A value beyond float16 becomes infinite. Not differentiable.
    """
    frames = frames.detach()
    if not chosen_way(frames).is_kernel:
        return pool_and_round_reference(frames)
    stored = torch.empty(frames.shape, dtype=torch.float16, device=frames.device)
    return stored, *temporal_pool_forward(frames, stored=stored)


def temporal_pool_reference(frames: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Plain PyTorch form of `temporal_pool` on `[... frame dim]`; the kernel is held to it."""
    frames = frames.to(compute_dtype(frames))
    if mask is None:
        num_frames = max(frames.shape[-2], 1)
    else:
        # Selecting, not multiplying: a NaN in a frame that is left out must not reach the result.
        frames = frames.masked_fill(~mask.unsqueeze(-1), 0.0)
        num_frames = mask.sum(-1, keepdim=True).clamp(min=1)
    return frames.sum(-2) / num_frames, unit_rows(frames).sum(-2) / num_frames


def pool_and_round_reference(frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Plain PyTorch form of `pool_and_round`: `[... frame dim]` and two `[... dim]`."""
    stored = frames.detach().to(torch.float16)
    return stored, *temporal_pool_reference(stored)


def unit_rows(rows: Tensor) -> Tensor:
    """Rows `[..., dim]` divided by their length; a zero row stays zero, with a zero gradient."""
    squares = rows.square().sum(-1, keepdim=True)
    is_zero = squares == 0
    return (rows / squares.masked_fill(is_zero, 1.0).sqrt()).masked_fill(is_zero, 0.0)


class TemporalPoolFunction(torch.autograd.Function):
    """Ties the two kernels together for autograd."""

    @staticmethod
    def forward(ctx: FunctionCtx, frames: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and consensus `[... dim]` of frames `[... frame dim]`."""
        # None can be saved, which torch's stub does not know.
        ctx.save_for_backward(frames, mask)  # pyright: ignore[reportArgumentType]
        return temporal_pool_forward(frames, mask)

    # To torch's stub of the decorator the first parameter has no name.
    @staticmethod
    @once_differentiable
    def backward(ctx: SavedContext, grad_mean: Tensor, grad_consensus: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        """Gradient of frames `[... frame dim]`; a mask takes none."""
        frames, mask = ctx.saved_tensors
        return temporal_pool_backward(frames, mask, grad_mean, grad_consensus), None


def temporal_pool_forward(
    frames: Tensor, mask: Tensor | None = None, stored: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Mean and consensus of `[... frame dim]` in one read; a float16 copy in `stored`, if given."""
    views, counted, num_counted = _as_views(frames, mask)
    num_views, num_frames, dim = views.shape
    dtype = compute_dtype(frames) if stored is None else torch.float32
    mean = torch.empty(num_views, dim, dtype=dtype, device=frames.device)
    consensus = torch.empty_like(mean)
    launch(
        _temporal_pool_forward_kernel,
        (num_views,),
        views,
        *views.stride(),
        counted,
        num_counted,
        stored,
        mean,
        consensus,
        num_frames,
        dim,
        **_tile(num_frames, dim),
    )
    shape = (*frames.shape[:-2], dim)
    return mean.view(shape), consensus.view(shape)


def temporal_pool_backward(
    frames: Tensor, mask: Tensor | None, grad_mean: Tensor, grad_consensus: Tensor
) -> Tensor:
    """Gradient of frames `[... frame dim]`, in their dtype: one read of them, one write."""
    views, counted, num_counted = _as_views(frames, mask)
    num_views, num_frames, dim = views.shape
    grad_frames = torch.empty(frames.shape, dtype=frames.dtype, device=frames.device)
    tile = _tile(num_frames, dim)
    launch(
        _temporal_pool_backward_kernel,
        (num_views, blocks_over(num_frames, tile["BLOCK_FRAMES"])),
        views,
        *views.stride(),
        counted,
        num_counted,
        grad_mean.contiguous(),
        grad_consensus.contiguous(),
        grad_frames,
        num_frames,
        dim,
        **tile,
    )
    return grad_frames


def _as_views(frames: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Frames as `[view frame dim]`, and the mask as uint8 `[view frame]` with its counts."""
    views = frames.reshape(-1, *frames.shape[-2:])
    if mask is None:
        return views, None, None
    counted = mask.expand(frames.shape[:-1]).reshape(views.shape[:2])
    num_counted = counted.sum(-1, dtype=torch.int32).clamp(min=1)
    return views, counted.to(torch.uint8), num_counted


def _tile(num_frames: int, dim: int) -> dict[str, int]:
    """A whole row a tile, so that its length is known in the same pass."""
    block_dim = power_of_2_from(dim)
    block_frames = min(power_of_2_from(num_frames), max(TILE // block_dim, 1))
    num_warps = 4 if block_dim * block_frames <= TILE else 8
    return {"BLOCK_FRAMES": block_frames, "BLOCK_DIM": block_dim, "num_warps": num_warps}


@triton.jit
def _load_frames(
    frames_ptr,
    view_stride,
    frame_stride,
    dim_stride,
    counted_ptr,
    view,
    rows,
    columns,
    num_frames,
    dim,
):
    """A tile of one view, zero where a frame is masked out or beyond the end."""
    counts = rows < num_frames
    if counted_ptr is not None:
        counts &= tl.load(counted_ptr + view * num_frames + rows, mask=counts, other=0) != 0
    offsets = rows.to(tl.int64)[:, None] * frame_stride + columns.to(tl.int64)[None, :] * dim_stride
    inside = counts[:, None] & (columns < dim)[None, :]
    return tl.load(frames_ptr + view * view_stride + offsets, mask=inside, other=0.0), counts


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
    num_frames,
    dim,
    BLOCK_FRAMES: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
):
    view = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK_DIM)
    dtype = mean_ptr.dtype.element_ty
    # Summed over tiles as they are and over rows once at the end: one reduction, not one a tile.
    total = tl.zeros([BLOCK_FRAMES, BLOCK_DIM], dtype)
    unit_total = tl.zeros([BLOCK_FRAMES, BLOCK_DIM], dtype)
    for start in range(0, num_frames, BLOCK_FRAMES):
        rows = start + tl.arange(0, BLOCK_FRAMES)
        tile, counts = _load_frames(
            frames_ptr,
            view_stride,
            frame_stride,
            dim_stride,
            counted_ptr,
            view,
            rows,
            columns,
            num_frames,
            dim,
        )
        if stored_ptr is not None:
            tile = tile.to(tl.float16)
            offsets = (view * num_frames + rows)[:, None] * dim + columns[None, :]
            inside = counts[:, None] & (columns < dim)[None, :]
            tl.store(stored_ptr + offsets, tile, mask=inside)
        tile = tile.to(dtype)
        total += tile
        unit_total += tile * _inverse_lengths(tile)[:, None]
    count = num_frames if num_counted_ptr is None else tl.load(num_counted_ptr + view)
    inside = columns < dim
    tl.store(mean_ptr + view * dim + columns, tl.sum(total, axis=0) / count, mask=inside)
    tl.store(consensus_ptr + view * dim + columns, tl.sum(unit_total, axis=0) / count, mask=inside)


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
    tile, counts = _load_frames(  # pyright: ignore[reportGeneralTypeIssues]
        frames_ptr,
        view_stride,
        frame_stride,
        dim_stride,
        counted_ptr,
        view,
        rows,
        columns,
        num_frames,
        dim,
    )
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
