"""Claims: training waits for its data less than a fifth of the time, and least from the store.

    OMP_NUM_THREADS=1 python -m benchmarks.training       # two minutes on two cores
    python -m benchmarks.training --model ViT-B-16-quickgelu --num-frames 16 --batch-size 64 \\
        --device cuda --workers 12 --clips 32 --ways cache

Fine-tunes a model with random weights (their values do not change the work) on generated clips, and
reads seconds per step and the share of waiting off the run's own log, after the first epoch. Ways
to read: `videos` decodes at every step, `cache` reads decoded frames from the frame cache, `memory`
is what the demo does, `store` trains the text tower on cached embeddings; `text-videos` is the same
text tuning from pixels, against which the speed-up of `store` is. With full tuning, the arithmetic
of the image tower (forward, and twice that backward) is compared with the rate of a large matrix
product on the same device in the same call.
Expected: `memory` waits under 20% on two cores; on a GPU it reaches 40% of the matmul rate, and
`cache` 35%.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from vifi.bench.arithmetic import forward_flops, measure_matmul
from vifi.bench.bench_settings import Bench
from vifi.bench.inputs import scanned
from vifi.bench.recording import in_scratch, script
from vifi.bench.timing import quantiles
from vifi.demo.clips import class_names, write_clips
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.job import extract_dataset
from vifistore.extract.recipes import choose_device
from vifistore.frames.decoders.decoder_names import DecoderName
from vifistore.models.towers import load_model
from vifistore.store.store import Store
from vifistore.training.options import RunOptions
from vifistore.training.order import Order
from vifistore.training.run import Run, train
from vifistore.training.training_settings import TrainSettings
from vifistore.training.training_split import open_training_set

CASE = ("way", "trains", "model", "num_frames", "batch_size", "is_compiled")
WAYS = ("memory", "videos", "cache", "text-videos", "store")


@dataclass(frozen=True, kw_only=True)
class Training(Bench):
    """What is trained on what."""

    model: str = "vifi-tiny"
    """OpenCLIP model name."""
    num_frames: int = 4
    """Frames per video and step, drawn from twice as many."""
    batch_size: int = 16
    """Videos per step."""
    micro_batch: int = 0
    """Videos per forward pass; 0 is the batch, or what the memory of a GPU has room for."""
    clips: int = 8
    """Clips of each of the 24 classes."""
    epochs: int = 3
    """Epochs, of which the first is not counted."""
    device: str = "cpu"
    """cpu, cuda, cuda:1, or auto."""
    compile: bool = True
    """On a GPU: compile the image tower."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass."""
    workers: int = 1
    """Decoding processes."""
    decoder: DecoderName = "decord"
    """Library that decodes."""
    ways: tuple[str, ...] = WAYS
    """Ways to read: memory, videos, cache, text-videos, store."""


@in_scratch
def run(settings: Training, scratch: Path) -> Iterator[dict]:
    """A row per way."""
    write_clips(scratch / "videos", class_names(), {"train": settings.clips}, seed=0)
    store = scanned(scratch / "s.zarr", scratch / "videos")
    seconds: dict[str, float] = {}
    for way in settings.ways:
        row = measured(settings, store, way, scratch)
        seconds[way] = row["seconds_per_step"]
        slower = {"cache": "videos", "store": "text-videos"}.get(way)
        yield {
            **row,
            "speed_up": round(seconds[slower] / seconds[way], 2) if slower in seconds else None,
        }


def measured(settings: Training, store: Store, way: str, scratch: Path) -> dict:
    """The row of one way."""
    is_text = way in ("store", "text-videos")
    tuning = TrainSettings(
        trains="text" if is_text else "full",
        num_frames=settings.num_frames,
        candidate_frames=2 * settings.num_frames,
        batch_size=settings.batch_size,
        micro_batch=settings.micro_batch,
        epochs=settings.epochs,
        warmup_epochs=0.0,
        learning_rate=1e-4,
        flip=0.0 if is_text else 0.5,
        drop_last=True,
    )
    options = RunOptions(
        device=settings.device,
        compile=settings.compile,
        gradient_checkpointing=settings.gradient_checkpointing,
        workers=settings.workers,
        decoder=settings.decoder,
        in_memory=way == "memory",
        frame_cache=scratch / "frames" if way == "cache" else None,
        checkpoint_every=10**9,
    )
    start = load_model(settings.model, "none")
    if way == "store":
        extract(settings, store)
    videos = open_training_set(
        store.dataset("videos"),
        "",
        start,
        tuning,
        options,
        features=store.features("videos", "cached") if way == "store" else None,
    )
    device = choose_device(settings.device)
    if device.type == "cuda":
        # Its counters are not there before it is.
        torch.cuda.init()
        torch.cuda.reset_peak_memory_stats(device)
    train(Run(start=start, videos=videos, settings=tuning, out=scratch / way, options=options))
    skip = Order(num_videos=len(videos.source.targets), settings=tuning).steps_per_epoch
    return figures(settings, way, tuning, scratch / way / "log.csv", skip, device)


def extract(settings: Training, store: Store) -> None:
    """Cache the embeddings that the text tower is trained on."""
    cached = ExtractSettings(
        model=settings.model,
        pretrained="none",
        frames=2 * settings.num_frames,
        precision="fp32",
        device=settings.device,
        name="cached",
    )
    extract_dataset(store.dataset("videos"), cached)


def figures(
    settings: Training,
    way: str,
    tuning: TrainSettings,
    log: Path,
    skip: int,
    device: torch.device,
) -> dict:
    """What a run's log says of the steps behind the first `skip`."""
    with open(log, newline="", encoding="utf-8") as file:
        steps = list(csv.DictReader(file))[skip:]
    seconds = [float(step["seconds"]) for step in steps]
    waiting = [float(step["data_seconds"]) for step in steps]
    taken = quantiles(seconds)
    # Before the matrix product, which takes memory, too.
    peak = peak_gigabytes(device)
    return {
        "way": way,
        "trains": tuning.trains,
        "model": settings.model,
        "num_frames": settings.num_frames,
        "batch_size": settings.batch_size,
        "is_compiled": settings.compile and device.type == "cuda",
        "steps": len(steps),
        "seconds_per_step": round(taken.p50, 4),
        **taken.row(),
        "videos_per_second": round(settings.batch_size / taken.p50, 1),
        "data_share": round(sum(waiting) / sum(seconds), 3),
        "matmul_share": matmul_share(settings, taken.p50, device)
        if tuning.trains == "full"
        else None,
        "peak_gigabytes": peak,
    }


def matmul_share(settings: Training, seconds: float, device: torch.device) -> float:
    """Arithmetic of the image tower, forward and backward, by what a matrix product reaches."""
    start = load_model(settings.model, "none")
    num_frames = settings.batch_size * settings.num_frames
    forward = forward_flops(start.image_tower, (num_frames, 3, *start.image_size))
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    return round(3 * forward / seconds / measure_matmul(device, dtype), 3)


def peak_gigabytes(device: torch.device) -> float | None:
    """Most memory of the GPU that tensors took; None on a CPU."""
    if device.type != "cuda":
        return None
    return round(torch.cuda.max_memory_allocated(device) / 1e9, 2)


if __name__ == "__main__":
    script("training", Training, run, CASE, __doc__)
