"""Claim: a million videos cost ten times what a hundred thousand do, in bounded memory.

    OMP_NUM_THREADS=1 python -m benchmarks.scale --sizes 20000 100000    # three minutes
    OMP_NUM_THREADS=1 python -m benchmarks.scale --sizes 1000000         # 3 GB of disk

Writes a table of videos and a feature set of 4 x 64 frame embeddings from one random block, seals,
describes and reads it, each step in this process, and adds one row per size with the seconds of
each step and the peak memory so far. Expected: under 1.5 GB, and seconds that grow no faster than
the number of videos.

Floor: a video's frames, views and timestamps are 1,040 bytes, so that a million are 1.0 GB, in
nine files a block: 140,000 files, each made lasting on its own.
"""

import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from benchmarks.store import StoreBenchmark, append_rows, block_data, video_table
from vifistore.store.info import describe_store
from vifistore.store.schema import BLOCK_SIZE
from vifistore.store.store import create_store, open_store
from vifistore.store.tables import write_videos
from vifistore.store.writer import FeatureWriter, Shape

RESULTS = Path(__file__).parent / "results" / "scale.csv"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What is written and read."""

    sizes: tuple[int, ...] = (20_000, 100_000)
    """Numbers of videos, ascending: peak memory is that of the largest so far."""
    num_frames: int = 4
    """Frames per video."""
    dim: int = 64
    """Dimensions of an embedding."""
    results: Path = RESULTS
    """CSV file that the rows are added to."""


def main(settings: Scale) -> None:
    """Measure each size, print its row and add it to the results."""
    for num_videos in settings.sizes:
        with tempfile.TemporaryDirectory() as folder:
            row = measure(Path(folder) / "S.zarr", num_videos, settings)
        print(*(f"{key}={value}" for key, value in row.items()))
        append_rows(settings.results, [row])


def measure(path: Path, num_videos: int, settings: Scale) -> dict:
    """One row: seconds of each step, and peak memory."""
    taken: dict[str, float] = {}

    @contextmanager
    def step(name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        taken[f"{name}_seconds"] = round(time.perf_counter() - start, 2)

    with step("table"):
        store = create_store(path)
        write_videos(store.backend, "d", video_table(num_videos), ["run"], "/")
    with step("write"):
        writer = write_blocks(store.backend, num_videos, settings)
    with step("seal"):
        writer.seal()
    store = open_store(path)
    with step("info"):
        (described,) = describe_store(store)["datasets"]["d"]["features"]
    features = store.features("d", writer.id)
    with step("select"):
        rows = np.random.default_rng(0).choice(num_videos, min(1000, num_videos), replace=False)
        chosen = features.select(rows=rows, arrays=("frames",))
    with step("read"):
        num_read = sum(len(arrays["frames"]) for _, arrays in features.blocks(("frames",)))
    if not described["done"] == num_read == num_videos or not (chosen.status == 1).all():
        raise AssertionError(f"{described['done']} done and {num_read} read of {num_videos}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"videos": num_videos, **taken, "peak_mebibytes": round(peak / 1024)}


def write_blocks(backend, num_videos: int, settings: Scale) -> FeatureWriter:
    """Write a feature set that repeats one block."""
    block_settings = StoreBenchmark(num_frames=settings.num_frames, dim=settings.dim)
    data = block_data(block_settings, BLOCK_SIZE)
    shape = Shape(video=num_videos, view=1, frame=settings.num_frames, dim=settings.dim)
    writer = FeatureWriter(backend, "d", {"numerics": 1}, shape, {"host": "benchmark"})
    writer.claim(blocks := writer.todo_blocks())
    for block in blocks:
        rows = list(writer.block_rows(block))
        writer.write_block(block, rows, {name: v[: len(rows)] for name, v in data.items()})
    return writer


if __name__ == "__main__":
    main(tyro.cli(Scale))
