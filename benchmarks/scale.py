"""Claim: a million videos cost ten times what a hundred thousand do, in bounded memory.

    OMP_NUM_THREADS=1 python -m benchmarks.scale                 # 20,000 to 1,000,000: ten minutes
    OMP_NUM_THREADS=1 python -m benchmarks.scale --sizes 100000  # one minute

A million videos need 3 GB of disk and 150,000 files. Each size runs in a process of its own: scan
a folder of that many (empty) files, write a feature set of 4 x 64 frame embeddings from one random
block as an extraction would, seal it, then describe, select, read and verify it. One row per size:
seconds of each step and the peak memory. Expected: under 1.5 GB, and seconds that grow no faster
than the number of videos.

Floor: a video's frames, views and timestamps are 1,040 bytes, so that a million are 1.0 GB, in
nine files a block: 140,000 files, whose names are what takes most of the time.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.generated import random_block, repeated, write_set
from vifi.bench.bench_settings import Bench
from vifi.bench.inputs import scanned
from vifi.bench.recording import script
from vifi.bench.timing import peak_mebibytes
from vifistore.store.info import describe_store
from vifistore.store.schema import BLOCK_SIZE
from vifistore.store.store import open_store
from vifistore.store.verifying.verify import verify_store
from vifistore.store.writer import Shape

# A file has at most 65,000 names on ext4.
_NAMES_PER_FILE = 50_000

CASE = ("videos",)


@dataclass(frozen=True, kw_only=True)
class Scale(Bench):
    """What is written and read."""

    sizes: tuple[int, ...] = (20_000, 100_000, 1_000_000)
    """Numbers of videos."""
    num_frames: int = 4
    """Frames per video."""
    dim: int = 64
    """Dimensions of an embedding."""
    folder: Path | None = None
    """Where stores are written and removed; the system's folder for temporary files by default."""


def run(settings: Scale) -> Iterator[dict]:
    """A row per size, each from a process of its own, so that its peak memory is its own."""
    for num_videos in settings.sizes:
        with (
            tempfile.TemporaryDirectory(dir=settings.folder) as folder,
            multiprocessing.get_context("spawn").Pool(1) as pool,
        ):
            yield pool.apply(measure, (Path(folder), num_videos, settings))


def measure(folder: Path, num_videos: int, settings: Scale) -> dict:
    """One row: seconds of each step, and peak memory. Raises AssertionError if a video is lost."""
    taken: dict[str, float] = {}

    @contextmanager
    def step(name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        taken[f"{name}_seconds"] = round(time.perf_counter() - start, 2)

    source, path = make_videos(folder / "videos", num_videos), folder / "S.zarr"
    with step("scan"):
        scanned(path, source, "d")
    data = random_block(BLOCK_SIZE, settings.num_frames, settings.dim)
    shape = Shape(video=num_videos, view=1, frame=settings.num_frames, dim=settings.dim)
    with step("write"):
        dataset = open_store(path, mode="a").new_dataset("d")
        writer = write_set(dataset, shape, repeated(data))
    with step("seal"):
        writer.seal()
        writer.release()
    store = open_store(path)
    with step("info"):
        (described,) = describe_store(store)["datasets"]["d"]["features"]
    features = store.features("d", writer.id)
    with step("select"):
        rows = np.random.default_rng(0).choice(num_videos, min(1000, num_videos), replace=False)
        chosen = features.select(rows=rows, arrays=("frames",))
    with step("read"):
        num_read = sum(len(arrays["frames"]) for _, arrays in features.blocks(("frames",)))
    with step("verify"):
        problems = list(verify_store(store))
    counts = {described["done"], described["videos"], num_read}
    if counts != {num_videos} or not (chosen.status == 1).all() or problems:
        raise AssertionError(f"{counts} of {num_videos} are there; {problems[:3]}")
    return {"videos": num_videos, **taken, "peak_mebibytes": round(peak_mebibytes())}


def make_videos(folder: Path, num_videos: int) -> Path:
    """A folder of a hundred classes whose files are empty: what is measured is their number."""
    classes = [folder / f"class{number:02}" for number in range(100)]
    for path in classes:
        path.mkdir(parents=True)
    paths = [classes[number % 100] / f"video{number:07}.mp4" for number in range(num_videos)]
    for number, path in enumerate(paths):
        first = paths[number - number % _NAMES_PER_FILE]
        path.touch() if path == first else path.hardlink_to(first)
    return folder


if __name__ == "__main__":
    script("scale", Scale, run, CASE, __doc__)
