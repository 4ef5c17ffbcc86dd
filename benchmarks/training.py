"""Claims: training waits for its data less than a fifth of the time, and least from the store.

    OMP_NUM_THREADS=1 python benchmarks/training.py       # two minutes on two cores
    python benchmarks/training.py --model ViT-B-16-quickgelu --num-frames 16 --batch-size 64 \\
        --micro-batch 64 --device cuda --compile --workers 12 --clips 32 --ways cache

Fine-tunes a model with random weights (their values do not change the work) on generated clips, and
reads seconds per step and the share of waiting off the run's own log, after the first epoch. Ways
to read: `videos` decodes at every step, `cache` reads decoded frames from the frame cache, `memory`
is what the demo does, `store` trains the text tower on cached embeddings; `text-videos` is the same
text tuning from pixels, against which the speed-up of `store` is. With full tuning, the arithmetic
of the image tower (forward, and twice that backward) is compared with the rate of a large matrix
product on the same device in the same call. One row each in benchmarks/results/training.csv.
Expected: `memory` waits under 20% on two cores; on a GPU `cache` reaches 35% of the matmul rate.
"""

import csv
import os
import platform
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
import tyro

from vifi.bench.flops import forward_flops
from vifi.bench.matmul import measure_matmul
from vifi.demo.clips import class_names, write_clips
from vifistore.extract.job import extract_dataset
from vifistore.extract.recipes import choose_device
from vifistore.extract.scan import add_listing, new_rows
from vifistore.extract.settings import ExtractSettings
from vifistore.models.towers import load_model
from vifistore.store.store import Store, create_store
from vifistore.training.dataset import open_training_set
from vifistore.training.options import RunOptions
from vifistore.training.order import Order
from vifistore.training.run import Run, train
from vifistore.training.settings import TrainSettings
from vifistore.videos.listing import read_source
from vifistore.videos.probe import probe_all

RESULTS = Path(__file__).parent / "results" / "training.csv"
WAYS = ("memory", "videos", "cache", "text-videos", "store")


@dataclass(frozen=True, kw_only=True)
class Training:
    """What is trained on what."""

    model: str = "vifi-tiny"
    """OpenCLIP model name."""
    num_frames: int = 4
    """Frames per video and step, drawn from twice as many."""
    batch_size: int = 16
    """Videos per step."""
    micro_batch: int = 0
    """Videos per forward pass; 0 is the batch."""
    clips: int = 8
    """Clips of each of the 24 classes."""
    epochs: int = 3
    """Epochs, of which the first is not counted."""
    device: str = "cpu"
    """cpu, cuda, or auto."""
    compile: bool = False
    """Compile the image tower."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass."""
    workers: int = 1
    """Decoding processes."""
    ways: tuple[str, ...] = WAYS
    """Ways to read: memory, videos, cache, text-videos, store."""
    results: Path = RESULTS
    """CSV file that the rows are added to."""


def main(settings: Training) -> None:
    """Measure, print the rows and add them to the results."""
    with tempfile.TemporaryDirectory() as folder:
        found = list(rows(settings, Path(folder)))
    for row in found:
        print(*(f"{key}={value}" for key, value in row.items()))
    append_rows(settings.results, found)


def rows(settings: Training, scratch: Path) -> Iterator[dict]:
    """A row per way."""
    store = generated(settings, scratch)
    seconds: dict[str, float] = {}
    for way in settings.ways:
        row = measured(settings, store, way, scratch)
        seconds[way] = row["seconds_per_step"]
        slower = {"cache": "videos", "store": "text-videos"}.get(way)
        yield {
            **row,
            "speed_up": round(seconds[slower] / seconds[way], 2) if slower in seconds else "",
        }


def generated(settings: Training, scratch: Path) -> Store:
    """A store of generated clips."""
    write_clips(scratch / "videos", class_names(), {"train": settings.clips}, seed=0)
    listing = read_source(scratch / "videos")
    store = create_store(scratch / "s.zarr")
    rows = new_rows(None, listing, append=False)
    probes = probe_all(listing.root / listing.paths[row] for row in rows)
    add_listing(store.new_dataset("d"), listing, rows, probes)
    return store


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
        in_memory=way == "memory",
        frame_cache=scratch / "frames" if way == "cache" else None,
        checkpoint_every=10**9,
    )
    start = load_model(settings.model, "none")
    if way == "store":
        extract(settings, store)
    videos = open_training_set(
        store.dataset("d"),
        "",
        start,
        tuning,
        options,
        features=store.features("d", "cached") if way == "store" else None,
    )
    device = choose_device(settings.device)
    if device.type == "cuda":
        # Its counters are not there before it is.
        torch.cuda.init()
        torch.cuda.reset_peak_memory_stats(device)
    train(
        Run(
            start=start,
            source=videos.source,
            class_names=videos.class_names,
            settings=tuning,
            out=scratch / way,
            options=options,
        )
    )
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
    extract_dataset(store.dataset("d"), cached)


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
    median = statistics.median(seconds)
    # Before the matrix product, which takes memory, too.
    peak = peak_gigabytes(device)
    return {
        "way": way,
        "trains": tuning.trains,
        "model": settings.model,
        "num_frames": settings.num_frames,
        "batch_size": settings.batch_size,
        "is_compiled": settings.compile,
        "steps": len(steps),
        "seconds_per_step": round(median, 4),
        "videos_per_second": round(settings.batch_size / median, 1),
        "data_share": round(sum(waiting) / sum(seconds), 3),
        "matmul_share": matmul_share(settings, median, device) if tuning.trains == "full" else "",
        "peak_gigabytes": peak,
    }


def matmul_share(settings: Training, seconds: float, device: torch.device) -> float:
    """Arithmetic of the image tower, forward and backward, by what a matrix product reaches."""
    start = load_model(settings.model, "none")
    num_frames = settings.batch_size * settings.num_frames
    forward = forward_flops(start.clip.visual, (num_frames, 3, *start.image_size))
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    return round(3 * forward / seconds / measure_matmul(device, dtype), 3)


def peak_gigabytes(device: torch.device) -> float | str:
    """Most memory of the GPU that tensors took."""
    if device.type != "cuda":
        return ""
    return round(torch.cuda.max_memory_allocated(device) / 1e9, 2)


def append_rows(path: Path, found: list[dict]) -> None:
    """Add rows to a CSV file, with machine, versions and time behind each."""
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    here = {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores{gpu}",
        "versions": f"torch {torch.__version__}",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with open(path, "a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*found[0], *here])
        if is_new:
            writer.writeheader()
        writer.writerows({**row, **here} for row in found)


if __name__ == "__main__":
    main(tyro.cli(Training))
