"""Pooling of frame embeddings over the frames of a view, in one pass over memory.

For the frames x_1 ... x_T of a view:

    mean      = (1/T) sum_t x_t                embedding fusion ("embedding-level", ViFi-CLIP 4.1)
    consensus = (1/T) sum_t x_t / |x_t|        decision fusion: text . consensus is the mean of the
                                               frames' cosine similarities with that text

With upstream gradients g (of the mean) and h (of the consensus), and u_t = x_t / |x_t|:

    d x_t = (1/T) (g + (h - u_t (u_t . h)) / |x_t|)

A zero frame has no direction: it adds zero to the consensus and takes no gradient through it.
"""

import math

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from vifistore.kernels.dispatch import (
    Card,
    SavedContext,
    blocks_over,
    card_of,
    chosen_way,
    compute_dtype,
    launch,
    power_of_2_from,
)
from vifistore.kernels.temporal_pool_kernels import (
    _temporal_pool_backward_kernel,
    _temporal_pool_forward_kernel,
)

# Elements of one tile, 16 a thread: with two sums of as many a thread takes 80 to 96 registers.
TILE, WARPS = 2048, 4
# Programs of a multiprocessor that go through the views in turn, and stages of their loads, the
# last one being what is summed: more for few views, of which fewer programs run at once.
PROGRAMS, STAGES = 5, (4, 8)
# What must be on its way to a multiprocessor at any time for 4.3 TB/s over 132 of them, where 800
# ns go by from asking to having.
BYTES_IN_FLIGHT = 26 * 1024
# Of a block's shared memory, what sums over its warps take at most.
REDUCED_BYTES = 8 * 1024


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
    card, tile = card_of(frames), _tile(num_frames, dim)
    num_programs = min(num_views, PROGRAMS * card.multiprocessors)
    launch(
        _temporal_pool_forward_kernel,
        (num_programs,),
        views,
        *views.stride(),
        counted,
        num_counted,
        stored,
        mean,
        consensus,
        num_views,
        num_frames,
        dim,
        STAGES=_stages(num_programs, card, tile, dim, frames.itemsize),
        **tile,
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
    num_warps = WARPS if block_dim * block_frames <= TILE else 2 * WARPS
    return {"BLOCK_FRAMES": block_frames, "BLOCK_DIM": block_dim, "num_warps": num_warps}


def _stages(num_programs: int, card: Card, tile: dict[str, int], dim: int, item_bytes: int) -> int:
    """Stages with which the programs of a multiprocessor have enough bytes on their way, as many as
    the memory has room for that a block can have: rows may be long, and cards small."""
    fewest, most = STAGES
    rows = tile["BLOCK_FRAMES"] * item_bytes
    ahead = BYTES_IN_FLIGHT * card.multiprocessors / (num_programs * rows * dim)
    room = (card.shared_bytes - REDUCED_BYTES) // (rows * tile["BLOCK_DIM"])
    return min(max(math.ceil(1 + ahead), fewest), most, 1 + room)
