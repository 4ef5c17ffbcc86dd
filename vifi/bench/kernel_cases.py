"""The kernels that are timed: what each is called with, and the fewest bytes that it can move."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from vifi.bench.bench_settings import Kernels
from vifi.bench.timing import num_bytes
from vifistore.kernels.fusion_cross_entropy import (
    fusion_cross_entropy,
    fusion_cross_entropy_reference,
)
from vifistore.kernels.fusion_scores import fusion_scores, fusion_scores_reference
from vifistore.kernels.preprocess_frames import preprocess_frames, preprocess_frames_reference
from vifistore.kernels.resampling import crop_taps
from vifistore.kernels.temporal_pool import (
    pool_and_round,
    pool_and_round_reference,
    temporal_pool,
    temporal_pool_reference,
)

# Values pooled at once. On a GPU half a gigabyte in float16, ten times its cache.
_POOL_VALUES = {"cuda": 2**28, "cpu": 2**20}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One computation that can be done in several ways."""

    name: str
    """The function, and what of it runs."""
    sizes: dict[str, int | str]
    """Lengths of the axes, and the dtype."""
    input: Tensor
    """What the path is chosen by."""
    floor_bytes: int
    """Bytes that any way must read and write."""
    gradient_bytes: int = 0
    """Bytes of the gradients that any way gives back."""
    run: Callable[[Callable], object]
    """Calls one of the ways."""
    kernel: Callable
    """The public function."""
    reference: Callable
    """Its plain form."""
    is_compilable: bool = True
    """Whether torch.compile makes something of the plain form in reasonable time."""


def cases(settings: Kernels, device: torch.device) -> Iterator[Case]:
    """Every case, its inputs made as it is asked for."""
    for num_frames in settings.pool_frames:
        for dim in settings.pool_dims:
            yield _pool_forward(settings, device, num_frames, dim)
    yield from (
        make(settings, device)
        for make in (_cross_entropy, _pool_both, _pool_and_round, _image_scores, _preprocess)
    )


def _pool_forward(settings: Kernels, device: torch.device, num_frames: int, dim: int) -> Case:
    values = settings.pool_values or _POOL_VALUES[device.type]
    num_views = max(1, values // (num_frames * dim))
    shape = (num_views, num_frames, dim)
    frames = torch.randn(shape, device=device, dtype=_dtype(settings))
    return Case(
        name="temporal_pool forward",
        sizes=_sizes(settings, views=num_views, frames=num_frames, dim=dim),
        input=frames,
        floor_bytes=num_bytes(frames) + _pooled_bytes(num_views, dim),
        run=lambda pool: pool(frames),
        kernel=temporal_pool,
        reference=temporal_pool_reference,
    )


def _pool_both(settings: Kernels, device: torch.device) -> Case:
    frames = _embeddings(settings, device)[0]

    def run(pool: Callable) -> None:
        mean, consensus = pool(frames)
        torch.autograd.grad((mean, consensus), frames, (mean.detach(), consensus.detach()))

    return Case(
        name="temporal_pool forward and backward",
        sizes=_batch_sizes(settings),
        input=frames,
        floor_bytes=3 * num_bytes(frames) + 2 * _pooled_bytes(settings.num_views, settings.dim),
        gradient_bytes=num_bytes(frames),
        run=run,
        kernel=temporal_pool,
        reference=temporal_pool_reference,
    )


def _pool_and_round(settings: Kernels, device: torch.device) -> Case:
    frames = _embeddings(settings, device)[0].detach()
    pooled = _pooled_bytes(settings.num_views, settings.dim)
    return Case(
        name="pool_and_round",
        sizes=_batch_sizes(settings),
        input=frames,
        floor_bytes=num_bytes(frames) + 2 * frames.numel() + pooled,
        run=lambda pool: pool(frames),
        kernel=pool_and_round,
        reference=pool_and_round_reference,
    )


def _image_scores(settings: Kernels, device: torch.device) -> Case:
    frames, text, scale, targets = (value.detach() for value in _embeddings(settings, device))
    return Case(
        name="fusion_scores image",
        sizes=_batch_sizes(settings, classes=settings.num_classes),
        input=frames,
        floor_bytes=num_bytes(frames, text, targets),
        run=lambda score: score(frames, text, scale, "image"),
        kernel=fusion_scores,
        reference=fusion_scores_reference,
    )


def _cross_entropy(settings: Kernels, device: torch.device) -> Case:
    frames, text, scale, targets = _embeddings(settings, device)

    def run(loss: Callable) -> None:
        torch.autograd.grad(loss(frames, text, scale, targets, "image"), (frames, text))

    return Case(
        name="fusion_cross_entropy image forward and backward",
        sizes=_batch_sizes(settings, classes=settings.num_classes),
        input=frames,
        floor_bytes=3 * num_bytes(frames, text) + 2 * num_bytes(targets),
        gradient_bytes=num_bytes(frames, text),
        run=run,
        kernel=fusion_cross_entropy,
        reference=fusion_cross_entropy_reference,
    )


def _preprocess(settings: Kernels, device: torch.device) -> Case:
    size, dtype = settings.size, _dtype(settings)
    shape = (settings.num_frames, size * 3 // 2, size * 2, 3)
    frames = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
    half = (0.5, 0.5, 0.5)
    crops = crop_taps(shape[1], shape[2], size, size, "bicubic", True, 1, frames.device)
    made = settings.num_frames * 3 * size * size * dtype.itemsize
    return Case(
        name="preprocess_frames",
        sizes=_sizes(settings, frames=shape[0], height=shape[1], width=shape[2], size=size),
        input=frames,
        floor_bytes=num_bytes(frames) + made,
        run=lambda preprocess: preprocess(),
        kernel=partial(preprocess_frames, frames, size=size, mean=half, std=half, dtype=dtype),
        reference=partial(preprocess_frames_reference, frames, crops, half, half, dtype),
        # A loop over frames and taps, which is unrolled.
        is_compilable=False,
    )


def _embeddings(settings: Kernels, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Frames, text, logit scale and soft targets of a training batch."""
    shape = settings.num_views, settings.num_frames, settings.dim
    frames = torch.randn(shape, device=device).to(_dtype(settings)).requires_grad_()
    text = torch.randn(settings.num_classes, settings.dim, device=device).to(_dtype(settings))
    targets = torch.rand(settings.num_views, settings.num_classes, device=device).softmax(-1)
    return frames, text.requires_grad_(), torch.tensor(100.0, device=device), targets


def _dtype(settings: Kernels) -> torch.dtype:
    return getattr(torch, settings.dtype)


def _pooled_bytes(num_views: int, dim: int) -> int:
    """Mean and consensus, in float32."""
    return 2 * num_views * dim * 4


def _batch_sizes(settings: Kernels, **more: int) -> dict[str, int | str]:
    batch = {"views": settings.num_views, "frames": settings.num_frames, "dim": settings.dim}
    return _sizes(settings, **batch, **more)


def _sizes(settings: Kernels, **lengths: int) -> dict[str, int | str]:
    return {**lengths, "dtype": settings.dtype}
