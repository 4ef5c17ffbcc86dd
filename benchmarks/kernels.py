"""Claim: each Triton kernel moves close to the fewest bytes it can, faster than plain PyTorch.

    python benchmarks/kernels.py                            # on a GPU: about a minute
    python benchmarks/kernels.py --num-views 2 --num-frames 3 --dim 16 --num-classes 5 --size 32

Every kernel is timed beside its plain reference. `floor_bytes` is what any way must read and
write; `gigabytes_per_second` is that over the median time, to be compared with
`copy_gigabytes_per_second`, a copy of a large tensor on the same machine. `peak_bytes` is the
memory taken above the inputs, on a GPU alone. Without a GPU both ways are the reference. Rows are
added to `benchmarks/results/kernels.jsonl`.
"""

import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
import tyro
from torch import Tensor

from vifistore.kernels.dispatch import chosen_path, triton
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

RESULTS = Path(__file__).parent / "results" / "kernels.jsonl"
QUANTILES = (0.2, 0.5, 0.8)


@dataclass(frozen=True, kw_only=True)
class Kernels:
    """Sizes of the benchmark; the defaults are a training batch of the paper's models."""

    num_views: int = 256
    """Views of a batch."""
    num_frames: int = 32
    """Frames of a view, and frames that are preprocessed."""
    dim: int = 512
    """Dimensions of an embedding."""
    num_classes: int = 400
    """Classes compared with."""
    size: int = 224
    """Side of the crop, pixels; frames are 3/2 as high and 2 times as wide."""
    dtype: str = "float16"
    """Of embeddings and of preprocessed frames."""
    repeats: int = 20
    """Times that each way runs on a CPU; on a GPU Triton chooses."""
    results: Path = RESULTS
    """File that the rows are added to."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing to time, both ways."""

    name: str
    """The function, and what of it runs."""
    input: Tensor
    """What the path is chosen by."""
    floor_bytes: int
    """Bytes that any way must read and write."""
    kernel: Callable[[], object]
    """The public function."""
    reference: Callable[[], object]
    """Its plain form."""


def main(settings: Kernels) -> None:
    """Time every case, add the rows to the results and print them."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    settings.results.parent.mkdir(parents=True, exist_ok=True)
    with open(settings.results, "a") as file:
        for row in run(settings, device):
            print(json.dumps(row), file=file)
            print(json.dumps(row))


def run(settings: Kernels, device: torch.device) -> Iterator[dict]:
    """One row for each case and way."""
    common = machine(device) | {"copy_gigabytes_per_second": copy_speed(settings, device)}
    sizes = {key: value for key, value in asdict(settings).items() if key != "results"}
    setups = (setup_temporal_pool, setup_pool_and_round, setup_image_scores)
    for setup in (*setups, setup_image_cross_entropy, setup_preprocess_frames):
        case = setup(settings, device)
        path = chosen_path(case.input)
        ways = {"chosen": case.kernel, "reference": case.reference}
        for way, function in ways.items():
            low, middle, high = seconds(function, settings.repeats, device)
            yield {
                "case": case.name,
                "way": way,
                "path": path.name if way == "chosen" else "reference",
                "reason": path.reason if way == "chosen" else "asked for",
                "p20_ms": low * 1e3,
                "p50_ms": middle * 1e3,
                "p80_ms": high * 1e3,
                "floor_bytes": case.floor_bytes,
                "gigabytes_per_second": case.floor_bytes / middle / 1e9,
                "peak_bytes": peak_bytes(function, device),
                **sizes,
                **common,
            }


def embeddings(settings: Kernels, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Frames, text, logit scale and soft targets."""
    dtype = getattr(torch, settings.dtype)
    shape = settings.num_views, settings.num_frames, settings.dim
    frames = torch.randn(shape, device=device).to(dtype).requires_grad_()
    text = torch.randn(settings.num_classes, settings.dim, device=device).to(dtype)
    targets = torch.rand(settings.num_views, settings.num_classes, device=device).softmax(-1)
    return frames, text.requires_grad_(), torch.tensor(100.0, device=device), targets


def setup_temporal_pool(settings: Kernels, device: torch.device) -> Case:
    frames = embeddings(settings, device)[0]

    def both(pool: Callable) -> None:
        mean, consensus = pool(frames)
        torch.autograd.grad((mean, consensus), frames, (mean.detach(), consensus.detach()))

    pooled = 2 * settings.num_views * settings.dim * 4
    return Case(
        name="temporal_pool forward and backward",
        input=frames,
        floor_bytes=3 * num_bytes(frames) + 2 * pooled,
        kernel=partial(both, temporal_pool),
        reference=partial(both, temporal_pool_reference),
    )


def setup_pool_and_round(settings: Kernels, device: torch.device) -> Case:
    frames = embeddings(settings, device)[0].detach()
    return Case(
        name="pool_and_round",
        input=frames,
        floor_bytes=num_bytes(frames) + 2 * frames.numel() + 8 * settings.num_views * settings.dim,
        kernel=partial(pool_and_round, frames),
        reference=partial(pool_and_round_reference, frames),
    )


def setup_image_scores(settings: Kernels, device: torch.device) -> Case:
    frames, text, scale, _ = (value.detach() for value in embeddings(settings, device))
    scores = 4 * settings.num_views * settings.num_classes
    return Case(
        name="fusion_scores image",
        input=frames,
        floor_bytes=num_bytes(frames, text) + scores,
        kernel=partial(fusion_scores, frames, text, scale, "image"),
        reference=partial(fusion_scores_reference, frames, text, scale, "image"),
    )


def setup_image_cross_entropy(settings: Kernels, device: torch.device) -> Case:
    frames, text, scale, targets = embeddings(settings, device)

    def both(loss: Callable) -> None:
        torch.autograd.grad(loss(frames, text, scale, targets, "image"), (frames, text))

    return Case(
        name="fusion_cross_entropy image forward and backward",
        input=frames,
        floor_bytes=3 * num_bytes(frames, text) + 2 * num_bytes(targets),
        kernel=partial(both, fusion_cross_entropy),
        reference=partial(both, fusion_cross_entropy_reference),
    )


def setup_preprocess_frames(settings: Kernels, device: torch.device) -> Case:
    size, dtype = settings.size, getattr(torch, settings.dtype)
    shape = (settings.num_frames, size * 3 // 2, size * 2, 3)
    frames = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
    half = (0.5, 0.5, 0.5)
    crops = crop_taps(shape[1], shape[2], size, size, "bicubic", True, 1, frames.device)
    out = settings.num_frames * 3 * size * size * dtype.itemsize
    return Case(
        name="preprocess_frames",
        input=frames,
        floor_bytes=num_bytes(frames) + out,
        kernel=partial(preprocess_frames, frames, size=size, mean=half, std=half, dtype=dtype),
        reference=partial(preprocess_frames_reference, frames, crops, half, half, dtype),
    )


def num_bytes(*tensors: Tensor) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def seconds(function: Callable, repeats: int, device: torch.device) -> tuple[float, ...]:
    """Quantiles of the time of one call."""
    if device.type == "cuda":
        times = triton.testing.do_bench(function, quantiles=QUANTILES)
        return tuple(milliseconds / 1e3 for milliseconds in times)
    times = []
    for _ in range(max(repeats, 2)):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    fifths = statistics.quantiles(times, n=10)
    return tuple(fifths[round(quantile * 10) - 1] for quantile in QUANTILES)


def peak_bytes(function: Callable, device: torch.device) -> int | None:
    """Memory that one call takes above what was held before it."""
    if device.type != "cuda":
        return None
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    function()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def copy_speed(settings: Kernels, device: torch.device) -> float:
    """Bytes read and written by a copy, per second, in units of 1e9."""
    elements = 2**28 if device.type == "cuda" else 2**20
    source = torch.ones(elements, device=device)
    target = torch.empty_like(source)
    middle = seconds(partial(target.copy_, source), settings.repeats, device)[1]
    return 2 * num_bytes(source) / middle / 1e9


def machine(device: torch.device) -> dict:
    """Where and with what the rows were made."""
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor()
    try:
        triton_version = version("triton")
    except PackageNotFoundError:
        triton_version = ""
    return {
        "device": name or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "triton": triton_version,
        "python": platform.python_version(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


if __name__ == "__main__":
    main(tyro.cli(Kernels))
