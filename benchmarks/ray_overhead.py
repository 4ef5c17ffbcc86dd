"""Claims: Ray adds under 15 s to a set of 1,000 short videos, and two encoders of it on two cores
do at least 0.95 times what one process with two workers does.

    python -m benchmarks.ray_overhead                     # half an hour, on a machine of two cores
    python -m benchmarks.ray_overhead --measures start    # four minutes

Runs `vifi extract` with and without `--on ray`, in turns, each time on a store in which nothing is
extracted; Ray is started for the command and ends with it. All videos are one small clip, each with
a number of its own behind it, so that none is copied from another.

*start*: the whole command, of a tiny model. Floor: none without Ray; with it, starting its server,
and importing and loading the model once more in the encoder. `extra_seconds` is the difference.

*encoders*: two encoders of a core each, beside one process with two decode workers, of a real
tower with random weights. The floor is the two cores, which both ways have. Each takes fewer and
more videos: the difference is videos a second once the start is over. `times_plain` is with Ray
over without it.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vifi.bench.bench_settings import Bench
from vifi.bench.inputs import scanned, write_noise_clip
from vifi.bench.recording import in_scratch, script
from vifi.bench.timing import quantiles
from vifistore.errors import StoreError

CASE = ("measure", "model", "videos", "frames")
MEASURES = ("start", "encoders")
_TINY = "vifi-tiny"


@dataclass(frozen=True, kw_only=True)
class RayOverhead(Bench):
    """What is extracted, and how often."""

    measures: tuple[str, ...] = MEASURES
    """start, encoders."""
    videos: int = 1000
    """Videos of *start*."""
    more: tuple[int, int] = (256, 1024)
    """Fewer and more videos of *encoders*."""
    model: str = "ViT-B-32"
    """OpenCLIP model of *encoders*, with random weights."""
    frames: int = 4
    """Frames of a video."""
    repeats: int = 3
    """Times that each is done; medians count."""


@in_scratch
def run(settings: RayOverhead, scratch: Path) -> Iterator[dict]:
    """A row of the start, and one of two encoders."""
    if "start" in settings.measures:
        yield started(settings, scratch)
    if "encoders" in settings.measures:
        yield two_encoders(settings, scratch)


def started(settings: RayOverhead, scratch: Path) -> dict:
    """How much longer the whole command takes with Ray."""
    commands = both_ways(_TINY, settings.frames)
    seconds = [
        [timed(scratch, settings.videos, command) for command in commands]
        for _ in range(settings.repeats)
    ]
    extra = quantiles(ray - plain for ray, plain in seconds)
    return {
        "measure": "start",
        "model": _TINY,
        "videos": settings.videos,
        "frames": settings.frames,
        "repeats": settings.repeats,
        "ray_seconds": round(quantiles(ray for ray, _ in seconds).p50, 2),
        "plain_seconds": round(quantiles(plain for _, plain in seconds).p50, 2),
        "extra_seconds_p20": round(extra.p20, 2),
        "extra_seconds": round(extra.p50, 2),
        "extra_seconds_p80": round(extra.p80, 2),
    }


def two_encoders(settings: RayOverhead, scratch: Path) -> dict:
    """Videos a second of two encoders on Ray, and of one process with two workers."""
    few, many = settings.more
    commands = both_ways(settings.model, settings.frames, "--cores", "1", "--actors", "2")
    rates = []
    for _ in range(settings.repeats):
        short = [timed(scratch, few, command) for command in commands]
        long = [timed(scratch, many, command) for command in commands]
        rates.append([(many - few) / (b - a) for a, b in zip(short, long, strict=True)])
    ratio = quantiles(ray / plain for ray, plain in rates)
    return {
        "measure": "encoders",
        "model": settings.model,
        "videos": many,
        "fewer_videos": few,
        "frames": settings.frames,
        "repeats": settings.repeats,
        "ray_videos_per_second": round(quantiles(ray for ray, _ in rates).p50, 3),
        "plain_videos_per_second": round(quantiles(plain for _, plain in rates).p50, 3),
        "times_plain_p20": round(ratio.p20, 3),
        "times_plain": round(ratio.p50, 3),
        "times_plain_p80": round(ratio.p80, 3),
    }


def both_ways(model: str, frames: int, *on_ray: str) -> tuple[list[str], list[str]]:
    """What is behind `vifi extract STORE` with Ray and without it: as many decode workers in all
    either way."""
    flags = ["--dataset", "videos", "--model", model, "--pretrained", "none", "--device", "cpu"]
    flags += ["--precision", "fp32", "--frames", str(frames), "--json"]
    each = "1" if "--actors" in on_ray else "2"
    return [*flags, "--on", "ray", "--workers", each, *on_ray], [*flags, "--workers", "2"]


def timed(scratch: Path, videos: int, command: Sequence[str]) -> float:
    """Seconds of one extraction of so many videos. Raises StoreError where it did not do all."""
    folder = scratch / "run"
    store = shutil.copytree(scanned_store(scratch, videos), folder / "s.zarr")
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "vifi", "extract", str(store), *command],
        env=environment(scratch),
        capture_output=True,
        text=True,
        check=False,
    )
    taken = time.perf_counter() - began
    # With what lies beside the store.
    shutil.rmtree(folder)
    shutil.rmtree(scratch / "ray", ignore_errors=True)
    report = json.loads(done.stdout) if done.returncode == 0 else {}
    if report.get("encoded") != videos or not report.get("sealed"):
        raise StoreError(f"an extraction did not do all of {videos} videos: {done.stderr[-300:]}")
    return taken


def environment(scratch: Path) -> dict[str, str]:
    """Ray writes below the scratch folder, starts anew, and each process has its own threads."""
    others = ("RAY_ADDRESS", "OMP_NUM_THREADS")
    told = {name: value for name, value in os.environ.items() if name not in others}
    return told | {"RAY_TMPDIR": str(scratch)}


def scanned_store(scratch: Path, videos: int) -> Path:
    """A store that knows so many videos, and has nothing else."""
    store, folder = scratch / f"{videos}.zarr", scratch / f"v{videos}"
    if not store.exists():
        write_numbered(folder, videos, lambda path: write_noise_clip(path, 0))
        scanned(store, folder)
    return store


def write_numbered(folder: Path, count: int, write: Callable[[Path], None]) -> None:
    """Write one clip, and copies of other bytes: a box that no decoder looks at tells the copies
    apart."""
    folder.mkdir()
    first = folder / "0.mp4"
    write(first)
    clip = first.read_bytes()
    for number in range(1, count):
        box = (16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big")
        (folder / f"{number}.mp4").write_bytes(clip + box)


if __name__ == "__main__":
    script("ray_overhead", RayOverhead, run, CASE, __doc__)
