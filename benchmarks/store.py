"""Claim: reading the store costs little beside plain NumPy files of the same bytes.

    OMP_NUM_THREADS=1 python -m benchmarks.store     # two minutes and 1 GB of disk

Each measure is a pair, the store and the plainest way to do the same, in turns in one process and
on a warm page cache; the row gives the median of the pairs' ratios (above 1: the store is faster).
Expected: a full verified read at least 0.6 of np.load, 1,024 random videos at least 0.25 of
np.memmap, and a store of 1,000 feature sets opened and one of them read by name in under 50 ms.
A lasting write is meant to take at most twice as long as np.save and one fsync: blocks are
committed up to 32 at a time, and the disk is waited for three times a commit. An fsync for every
file, 16 threads at a time, took 41 ms a block; one for every file of 16 to 32 blocks 13 ms; one
`syncfs` for all of them 5 ms, most of it copying. What is left is that every block of 64
videos is nine files. That costs most where ext4 makes a file slowly, as it does for minutes after
many were removed: it passes over inodes that were removed lately, one by one (seen: 0.5 ms a file
instead of 0.03). So measure where nothing else writes.

Floor: a read moves each byte once, from the page cache to memory, and the checksum looks at it
once more; a write moves it once to the page cache and once to the disk. At the default size the
frames are 268 MB (8,192 videos x 32 frames x 512 x 2 bytes), 302 MB with the view arrays and
timestamps that are written beside them; 1,024 random videos are 34 MB.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.generated import add_videos, random_block, repeated, write_set
from vifi.bench.bench_settings import Bench
from vifi.bench.recording import in_scratch, script
from vifi.bench.timing import Call, pairs
from vifistore.store.features import Features
from vifistore.store.names import set_name
from vifistore.store.store import Store, create_store, open_store
from vifistore.store.writer import Shape

CASE = ("measure", "videos", "frames", "dim")


@dataclass(frozen=True, kw_only=True)
class StoreBenchmark(Bench):
    """Size of the benchmark."""

    num_videos: int = 8192
    """Videos of the feature set, one view each."""
    num_frames: int = 32
    """Frames per video."""
    dim: int = 512
    """Dimensions of an embedding."""
    num_random: int = 1024
    """Videos that are read at random."""
    num_sets: int = 1000
    """Feature sets of the store that is opened."""
    pairs: int = 7
    """Times that each measure is taken, in turns with what it is compared with."""


@in_scratch
def run(settings: StoreBenchmark, scratch: Path) -> Iterator[dict]:
    """A row per measure."""
    yield write_row(scratch, settings)
    features, plain = made(scratch, settings)
    yield read_row(features, plain, settings)
    yield from random_rows(features, plain, settings)
    yield open_row(scratch, settings)


def write_row(folder: Path, settings: StoreBenchmark) -> dict:
    """A lasting write of all arrays against np.save and fsync of as many bytes."""
    data = random_block(64, settings.num_frames, settings.dim)
    num_bytes = sum(data[name].nbytes for name in data if data[name].dtype != object)
    num_bytes *= settings.num_videos // 64
    plain = np.ones(num_bytes, np.uint8)
    stores = [empty_store(folder / f"{i}.zarr", settings) for i in range(settings.pairs)]
    left = iter(stores)

    def write_store() -> None:
        write_features(next(left), settings, data)

    def write_plain() -> None:
        save(folder / "plain.npy", plain)

    return row(
        "write", settings, num_bytes, write_store, write_plain, between=lambda: empty(stores)
    )


def empty(stores: list[Store]) -> None:
    """Give the memory of all stores but the last back, as that of a plain file is that is removed.

    Their files stay: removing them would slow down the making of new ones.
    """
    for store in stores[:-1]:
        for chunk in Path(store.path).glob("features/*/*/*/c.*"):
            os.truncate(chunk, 0)


def made(folder: Path, settings: StoreBenchmark) -> tuple[Features, Path]:
    """The feature set that was written last, and its frames as a plain file."""
    store = open_store(folder / f"{settings.pairs - 1}.zarr")
    features = store.features("d", store.dataset("d").feature_ids()[0])
    save(folder / "frames.npy", features.read("frames"))
    return features, folder / "frames.npy"


def read_row(features: Features, plain: Path, settings: StoreBenchmark) -> dict:
    """A full verified read of the frames against np.load."""
    num_bytes = np.load(plain, mmap_mode="r").nbytes
    return row("read", settings, num_bytes, lambda: features.read("frames"), lambda: np.load(plain))


def random_rows(features: Features, plain: Path, settings: StoreBenchmark) -> Iterator[dict]:
    """Random videos, unverified and verified, against np.memmap."""
    mapped = np.load(plain, mmap_mode="r")
    chosen = np.random.default_rng(1).choice(len(mapped), settings.num_random, replace=False)
    num_bytes = mapped[:1].nbytes * len(chosen)
    for name, verify in (("random unverified", False), ("random verified", True)):
        yield row(
            name,
            settings,
            num_bytes,
            lambda verify=verify: features.select(rows=chosen, arrays=("frames",), verify=verify),
            lambda: mapped[chosen],
        )


def open_row(folder: Path, settings: StoreBenchmark) -> dict:
    """Open a store of many feature sets and read the view means of one by name.

    It is compared with np.load of those view means.
    """
    path = folder / "sets.zarr"
    small = StoreBenchmark(num_videos=64, num_frames=1, dim=settings.dim)
    data = random_block(64, 1, settings.dim)
    store = empty_store(path, small)
    write_features(store, small, data)
    # Groups alone: what an open must not depend on is how many there are.
    for number in range(settings.num_sets):
        store.backend.make_group(f"features/d/{number:012x}", {"recipe": {}, "sealed": None})
        set_name(store.dataset("d"), f"set{number}", f"{number:012x}", "c", force=True)
    feature_id = next(
        name for name in store.dataset("d").feature_ids() if not name.startswith("00000000")
    )
    set_name(store.dataset("d"), "wanted", feature_id, "c", force=True)
    save(folder / "means.npy", data["view_mean"])

    def open_and_read() -> np.ndarray:
        return open_store(path).features("d", "wanted").read("view_mean")

    num_bytes = data["view_mean"].nbytes
    return row("open", settings, num_bytes, open_and_read, lambda: np.load(folder / "means.npy"))


def row(
    name: str,
    settings: StoreBenchmark,
    num_bytes: int,
    ours: Call,
    plain: Call,
    between: Call = lambda: None,
) -> dict:
    """Pairs of calls; `between` comes after each."""
    taken = pairs(ours, plain, settings.pairs, between)
    return {
        "measure": name,
        "videos": settings.num_videos,
        "frames": settings.num_frames,
        "dim": settings.dim,
        "megabytes": round(num_bytes / 1e6, 1),
        **taken.row(),
        "speed_over_plain": round(1 / taken.ratio.p50, 3),
    }


def save(path: Path, array: np.ndarray) -> None:
    """Write an array [...] as a plain file that lasts.

    The file is made anew: overwriting would save the disk work.
    """
    path.unlink(missing_ok=True)
    with open(path, "wb") as file:
        np.save(file, array)
        file.flush()
        os.fsync(file.fileno())


def empty_store(path: Path, settings: StoreBenchmark) -> Store:
    """A store of one dataset, without a feature set."""
    store = create_store(path)
    add_videos(store.new_dataset("d"), ["run"] * settings.num_videos, ["run"])
    return store


def write_features(store: Store, settings: StoreBenchmark, data: dict[str, np.ndarray]) -> None:
    """Write and seal a feature set that repeats a block [video ...], as an extraction does."""
    shape = Shape(video=settings.num_videos, view=1, frame=settings.num_frames, dim=settings.dim)
    writer = write_set(store.new_dataset("d"), shape, repeated(data))
    writer.seal()
    writer.release()


if __name__ == "__main__":
    script("store", StoreBenchmark, run, CASE, __doc__)
