"""Claim: every Triton kernel, compiled for an H100 or H200, fits it without spilling a register.

    python -m benchmarks.kernel_figures                            # with Triton 3.6 and 3.9
    python -m benchmarks.kernel_figures --triton installed         # with the one that is there

No GPU is needed. Each kernel is compiled for compute capability 9.0 at the sizes that users have,
and its machine code is read: registers and spilled bytes of a thread, shared memory of a block,
blocks and warps that a multiprocessor holds by these, and how often the operations that matter
stand in the code: `wgmma` (matrix products of four warps), `mma` (of one warp, as before Hopper;
`dmma` in float64), `ffma` (one product of float32), `async_copies` (loads that pass by the
registers), `barriers`. Two versions of Triton are asked, since each compiles otherwise.
`bytes_in_flight` of a kernel that loads ahead are those of a multiprocessor that are on their way
while others are summed: tiles ahead, times the bytes of a tile, times the programs at once.
Of the fusions' kernels a row counts the operations of a call, those of the logits and those of the
gradients' products, and the bytes that its tiles load; rows of the kernel `eager` count plain
PyTorch's products and the bytes that its operations move.
Expected: no spill; matrix products of half-precision training by wgmma; 26 KB in flight, which is
what 4.3 TB/s need over 132 multiprocessors at 800 ns from asking to having (Little's law).
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.compiled_kernels import Compiled, compiling
from benchmarks.kernel_work import COUNTED, Call, eager_work, work
from vifi.bench.bench_settings import Bench
from vifi.bench.recording import read_rows, script
from vifistore.kernels.frame_softmax import frame_softmax_backward, frame_softmax_forward
from vifistore.kernels.fusion_cross_entropy import fusion_cross_entropy_reference
from vifistore.kernels.fusion_scores import image_scores_forward
from vifistore.kernels.geometry import OPENCV
from vifistore.kernels.preprocess_frames import preprocess_frames_forward, resize_box_forward
from vifistore.kernels.resampling import box_taps, crop_taps
from vifistore.kernels.temporal_pool import temporal_pool_backward, temporal_pool_forward

CASE = ("kernel", "case", "sizes", "dtypes", "triton")
INSTALLED = "installed"
HALF, BRAIN, SINGLE = torch.float16, torch.bfloat16, torch.float32
VIEWS, FRAMES, CLASSES, SIZE = 256, 32, 400, 224
# Of a training batch, and of what extraction pools at once.
POOL_VIEWS = (VIEWS, 8192)
POOL_SIZES = ((8, 512), (32, 512), (32, 768), (32, 1152))
MULTIPROCESSORS = 132
WIDER = (768, 1024)

# Operations of the machine code, by the name they have in rows.
OPERATIONS = {
    "wgmma": ("HGMMA",),
    "mma": ("HMMA",),
    "dmma": ("DMMA",),
    "ffma": ("FFMA",),
    "async_copies": ("LDGSTS", "UTMALDG"),
    "loads": ("LDG",),
    "barriers": ("BAR",),
}


@dataclass(frozen=True, kw_only=True)
class Figures(Bench):
    """Which compilers, and which kernels."""

    triton: tuple[str, ...] = ("3.6.0", "3.9.0")
    """Versions of Triton, each fetched into a folder of its own; `installed` is what is there."""
    only: str = ""
    """Only cases with this in their name."""


@dataclass(frozen=True, kw_only=True)
class KernelCase:
    """A call of the product at sizes that users have."""

    name: str
    sizes: str
    dtypes: str
    call: Callable[[], object]
    row_bytes: int = 0
    """Bytes of a frame's embedding, where a kernel loads frames ahead."""
    rows_and_classes: Call | None = None
    """Sizes of a product of frames with classes."""


def run(settings: Figures) -> Iterator[dict]:
    """One row per version, case and kernel. CalledProcessError where pip cannot fetch a version."""
    if settings.only in "fusion_cross_entropy":
        yield from eager()
    for version in settings.triton:
        yield from (here if version == INSTALLED else _elsewhere)(settings, version)


def here(settings: Figures, version: str = INSTALLED) -> Iterator[dict]:
    """The rows of the Triton that is installed."""
    import triton

    for case in cases():
        if settings.only not in case.name:
            continue
        for kernel in compiled_of(case):
            yield {
                "kernel": kernel.kernel,
                "case": case.name,
                "sizes": case.sizes,
                "dtypes": case.dtypes,
                "triton": triton.__version__,
                **figures(kernel),
                **in_flight(kernel, case.row_bytes),
                **_work(kernel, case.rows_and_classes),
            }


def compiled_of(case: KernelCase) -> list[Compiled]:
    """Every launch of a case once, compiled."""
    with compiling() as found:
        case.call()
    return list({kernel.specialisation: kernel for kernel in found}.values())


def figures(kernel: Compiled) -> dict[str, int | list[int]]:
    """What a row says of a kernel."""
    counts = kernel.operations
    return {
        "grid": list(kernel.grid),
        "warps": kernel.warps,
        "stages": kernel.stages,
        "registers": kernel.registers,
        "spill_bytes": kernel.spill_bytes,
        "shared_bytes": kernel.shared_bytes,
        "blocks_per_multiprocessor": kernel.blocks,
        "warps_per_multiprocessor": kernel.blocks * kernel.warps,
        **{name: sum(counts[one] for one in ops) for name, ops in OPERATIONS.items()},
    }


def in_flight(kernel: Compiled, row_bytes: int) -> dict[str, int]:
    """Bytes on their way to a multiprocessor while a tile is summed, of what loads ahead."""
    ahead = kernel.tiles.get("STAGES", 1) - 1
    programs = min(kernel.blocks, kernel.grid[0] / MULTIPROCESSORS)
    tile_bytes = kernel.tiles.get("BLOCK_FRAMES", 0) * row_bytes
    if not ahead or not row_bytes:
        return {}
    return {"stages_ahead": ahead, "bytes_in_flight": int(ahead * tile_bytes * programs)}


def _work(kernel: Compiled, call: Call | None) -> dict[str, int]:
    """Operations and loads of a launch, of kernels that multiply frames with classes."""
    if call is None or kernel.kernel not in COUNTED:
        return {}
    return work(kernel.kernel, call, kernel.tiles)


def _elsewhere(settings: Figures, version: str) -> Iterator[dict]:
    """The rows of another Triton, which a process of its own imports."""
    with tempfile.TemporaryDirectory() as folder:
        triton, out = Path(folder) / "triton", Path(folder) / "out"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--target", str(triton), f"triton=={version}"], check=True)
        paths = [str(triton), *filter(None, [os.environ.get("PYTHONPATH")])]
        cache = {"TRITON_CACHE_DIR": str(Path(folder) / "cache")}
        environment = os.environ | cache | {"PYTHONPATH": os.pathsep.join(paths)}
        command = [sys.executable, "-m", "benchmarks.kernel_figures", "--triton", INSTALLED]
        options = ["--only", settings.only] if settings.only else []
        command += ["--out", str(out), *options]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        rows = read_rows(out / "kernel_figures.jsonl")
        yield from (row for row in rows if row["kernel"] != "eager")


def cases() -> Iterator[KernelCase]:
    """Every call, at the sizes of training and extraction."""
    for num_frames, dim in POOL_SIZES:
        yield from _pool_cases(num_frames, dim, HALF)
    yield from _pool_cases(FRAMES, 512, SINGLE)
    for dtypes in ((HALF, HALF), (BRAIN, SINGLE), (SINGLE, SINGLE)):
        yield from _fusion_cases(512, *dtypes)
    for dim in WIDER:
        for dtypes in ((HALF, HALF), (BRAIN, SINGLE)):
            yield from _fusion_cases(dim, *dtypes)
    yield from _pixel_cases(HALF)


def eager() -> Iterator[dict]:
    """What plain PyTorch does in the calls of fusion_cross_entropy."""
    for dim in (512, *WIDER):
        for of_frames, of_text in ((HALF, HALF), (BRAIN, SINGLE)):
            frames = torch.empty(VIEWS, FRAMES, dim, dtype=of_frames, device="meta")
            text = torch.empty(CLASSES, dim, dtype=of_text, device="meta")
            scale, targets = (frames.new_empty(s, dtype=SINGLE) for s in ((), (VIEWS, CLASSES)))
            yield {
                "kernel": "eager",
                "case": "fusion_cross_entropy",
                "sizes": _fusion_sizes(dim),
                "dtypes": _names(of_frames, of_text),
                "triton": "",
                **eager_work(partial(_eager_gradients, frames, text, scale, targets)),
            }


def _eager_gradients(frames: Tensor, text: Tensor, scale: Tensor, targets: Tensor) -> None:
    leaves = frames.requires_grad_(), text.requires_grad_()
    loss = fusion_cross_entropy_reference(*leaves, scale, targets, "image")
    torch.autograd.grad(loss, leaves)


def _fusion_sizes(dim: int) -> str:
    return f"{VIEWS} x {FRAMES} x {dim}, {CLASSES} classes"


def _pool_cases(num_frames: int, dim: int, dtype: torch.dtype) -> Iterator[KernelCase]:
    for num_views in POOL_VIEWS:
        frames = torch.empty(num_views, num_frames, dim, dtype=dtype)
        make = partial(
            KernelCase,
            sizes=f"{num_views} x {num_frames} x {dim}",
            dtypes=_names(dtype),
            row_bytes=dim * dtype.itemsize,
        )
        yield make(name="temporal_pool", call=partial(temporal_pool_forward, frames))
        stored = torch.empty(frames.shape, dtype=HALF)
        yield make(
            name="pool_and_round", call=partial(temporal_pool_forward, frames, stored=stored)
        )
        backward = partial(temporal_pool_backward, frames, None, *torch.empty(2, num_views, dim))
        yield make(name="temporal_pool backward", call=backward)


def _fusion_cases(dim: int, of_frames: torch.dtype, of_text: torch.dtype) -> Iterator[KernelCase]:
    frames = torch.zeros(VIEWS, FRAMES, dim, dtype=of_frames)
    inputs = frames, torch.zeros(CLASSES, dim, dtype=of_text), torch.tensor(100.0)
    targets = torch.zeros(VIEWS, CLASSES)

    def losses() -> None:
        logits, of_rows = frame_softmax_forward(*inputs, targets)
        assert of_rows is not None, "they come with targets"
        frame_softmax_backward(logits, targets, (True, True, True), sums=of_rows[1])

    def scores() -> None:
        logits, _ = frame_softmax_forward(*inputs)
        scores = image_scores_forward(logits)
        frame_softmax_backward(logits, scores, (True, True, True), scores)

    item_bytes = of_frames.itemsize
    make = partial(
        KernelCase,
        rows_and_classes=Call(rows=VIEWS * FRAMES, classes=CLASSES, dim=dim, item_bytes=item_bytes),
        sizes=_fusion_sizes(dim),
        dtypes=_names(of_frames, of_text),
    )
    yield make(name="fusion_cross_entropy", call=losses)
    yield make(name="fusion_scores", call=scores)


def _pixel_cases(dtype: torch.dtype) -> Iterator[KernelCase]:
    frames = torch.empty(FRAMES, 256, 340, 3, dtype=torch.uint8)
    ways = {
        "pillow": ("bicubic", True, 1, frames.device),
        "opencv": ("bilinear", False, 3, frames.device, OPENCV),
    }
    for name, way in ways.items():
        crops = crop_taps(*frames.shape[1:3], SIZE, SIZE, *way)
        colours = (0.5,) * 3, (0.5,) * 3
        yield KernelCase(
            name=f"preprocess_frames {name}",
            sizes=f"{FRAMES} x 256 x 340",
            dtypes=_names(dtype),
            call=partial(preprocess_frames_forward, frames, crops, *colours, dtype),
        )
    box = box_taps((3, 5, 168, 192), SIZE, frames.device)
    call = partial(resize_box_forward, frames, box)
    yield KernelCase(name="resize_box", sizes="168 x 192", dtypes="uint8", call=call)


def _names(*dtypes: torch.dtype) -> str:
    return " x ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)


if __name__ == "__main__":
    script("kernel_figures", Figures, run, CASE, __doc__)
