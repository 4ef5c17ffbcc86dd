"""Claim: machines that share a set by its blocks alone do not wait for each other.

    OMP_NUM_THREADS=1 python -m benchmarks.scaling     # a quarter of an hour
    OMP_NUM_THREADS=1 python -m benchmarks.scaling --where bucket --frames 1

Encoders that sleep in the place of a GPU, a process each, take the blocks of one set as extraction
does: each claims its next block while it is at one, and writes in the background. Claims, chunks,
commits and statuses are real. The floor is the sleep: so many blocks a second by each of so many
encoders, and none for anything else. Efficiency is the floor's time as a part of what all took,
from the first block to the last, the wait for the slowest included.

First 1, 2, 4, 8 and 16 encoders at a second a block, then the largest number at shorter and shorter
blocks: where the efficiency falls to 0.9 is what the cores of this one machine keep up with. A
bucket is served from memory by one more process on the same cores, each answer as late as S3's.
"""

import contextlib
import itertools
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks.generated import add_videos, random_block
from benchmarks.memory_bucket import memory_bucket
from benchmarks.sleeping import Trial, encode, writer_of
from vifi.bench.bench_settings import Bench
from vifi.bench.recording import in_scratch, script
from vifistore.extract.row_sources import ALL, FreeRows
from vifistore.store.schema import BLOCK_SIZE
from vifistore.store.store import create_store, open_store

CASE = ("where", "by", "actors", "seconds_a_block", "megabytes_a_block")
_ENOUGH = 0.9
_PATIENCE_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True)
class Scaling(Bench):
    """Size of the benchmark."""

    where: tuple[str, ...] = ("folder", "bucket")
    """Where the set lies: in a folder, with locks; in a bucket, with claims."""
    by: tuple[str, ...] = ("processes",)
    """What gives blocks out: processes find them themselves."""
    actors: tuple[int, ...] = (1, 2, 4, 8, 16)
    """Numbers of encoders."""
    seconds: float = 1.0
    """Seconds that an encoder takes for a block."""
    faster: tuple[float, ...] = (0.5, 0.25, 0.1, 0.05)
    """Further seconds a block, tried with the largest number of encoders until it is too much."""
    blocks: int = 20
    """Blocks that fall to each encoder."""
    late_seconds: float = 0.02
    """Seconds before every answer of the bucket."""
    frames: int = 16
    """Frames of a video."""
    dim: int = 512
    """Dimensions of an embedding."""
    repeats: int = 5
    """Times that each is done; the medians count."""


@in_scratch
def run(settings: Scaling, scratch: Path) -> Iterator[dict]:
    """A row for each number of encoders, then for each length of a block, and where it is too
    much."""
    most = max(settings.actors)
    for where, by in itertools.product(settings.where, settings.by):
        with place(where, settings.late_seconds, scratch / by) as url:
            case = (url, where, by)
            rows = []
            for actors in settings.actors:
                rows.append(measured(*case, actors, settings.seconds, settings))
                yield rows[-1] | {"of_one": of_one(rows[0], rows[-1])}
            rows = rows[-1:]
            for seconds in settings.faster:
                if rows[-1]["efficiency"] >= _ENOUGH:
                    rows.append(measured(*case, most, seconds, settings))
                    yield rows[-1]
            yield {"where": where, "by": by, "actors": most, **fall(rows)}


@contextlib.contextmanager
def place(where: str, late_seconds: float, scratch: Path) -> Iterator[str]:
    """A folder, or an empty bucket and what serves it."""
    if where == "folder":
        yield str(scratch)
        return
    with (
        memory_bucket(late_seconds) as told,
        mock.patch.dict(os.environ, told | {"XDG_CACHE_HOME": str(scratch)}),
    ):
        yield "s3://bucket"


def measured(url: str, where: str, by: str, actors: int, seconds: float, settings: Scaling) -> dict:
    """A row of so many encoders at so many seconds a block."""
    num_videos = actors * settings.blocks * BLOCK_SIZE
    location = f"{url}/{actors}-{seconds}.zarr"
    add_videos(create_store(location).new_dataset("d"), ["a"] * num_videos, ["a"])
    trial = Trial(
        url=location,
        actors=actors,
        seconds=seconds,
        num_videos=num_videos,
        **{name: getattr(settings, name) for name in ("frames", "dim", "repeats")},
    )
    taken = [seconds for number, seconds in enumerate(_MADE_BY[by](trial)) if sealed(trial, number)]
    blocks = actors * settings.blocks
    rates = blocks / np.array(taken)
    return {
        "where": where,
        "by": by,
        "actors": actors,
        "seconds_a_block": seconds,
        "blocks": blocks,
        "megabytes_a_block": round(2 * BLOCK_SIZE * settings.frames * settings.dim / 1e6, 1),
        "repeats": len(taken),
        "blocks_a_second": round(float(np.median(rates)), 3),
        "blocks_a_second_p20": round(float(np.quantile(rates, 0.2)), 3),
        "blocks_a_second_p80": round(float(np.quantile(rates, 0.8)), 3),
        "floor_blocks_a_second": round(actors / seconds, 3),
        "efficiency": round(float(np.median(rates)) * seconds / actors, 4),
    }


def of_one(one: dict, row: dict) -> float:
    """Blocks a second of each encoder as a part of what one does by itself, whose first and last
    block wait as well."""
    each = row["blocks_a_second"] / row["actors"]
    return round(each * one["actors"] / one["blocks_a_second"], 4)


def seconds_by_processes(trial: Trial) -> Iterator[float]:
    """How long the encoders of a trial took together, each time anew."""
    # A fork would take locks of threads along.
    processes = multiprocessing.get_context("spawn")
    together = processes.Barrier(trial.actors + 1)
    actors = [
        processes.Process(target=actor, args=(trial, together), daemon=True)
        for _ in range(trial.actors)
    ]
    for process in actors:
        process.start()
    try:
        for _ in range(trial.repeats):
            together.wait(_PATIENCE_SECONDS)
            began = time.perf_counter()
            together.wait(_PATIENCE_SECONDS)
            yield time.perf_counter() - began
    finally:
        for process in actors:
            process.kill()
            process.join()


def actor(trial: Trial, together: Barrier) -> None:
    """An encoder, once for each set."""
    block = random_block(BLOCK_SIZE, trial.frames, trial.dim)
    for number in range(trial.repeats):
        writer = writer_of(trial, number)
        together.wait(_PATIENCE_SECONDS)
        with FreeRows(writer, ALL) as source:
            encode(writer, source, block, trial.seconds)
        writer.release()
        together.wait(_PATIENCE_SECONDS)


def sealed(trial: Trial, number: int) -> dict:
    """Seal a set, which fails where a block is missing, and remove it."""
    writer = writer_of(trial, number)
    seal = writer.seal()
    open_store(trial.url, mode="a").backend.place.remove(writer.path)
    return seal


_MADE_BY = {"processes": seconds_by_processes}


def fall(rows: Sequence[dict]) -> dict:
    """The rate at which the efficiency falls to 0.9, between the two rows that it lies between; the
    highest rate that was tried where it does not."""
    above = [row for row in rows if row["efficiency"] >= _ENOUGH]
    if len(above) == len(rows) or not above:
        rate, what = rows[-1]["blocks_a_second"], "at least" if above else "below"
    else:
        high, low = above[-1], rows[len(above)]
        part = (high["efficiency"] - _ENOUGH) / (high["efficiency"] - low["efficiency"])
        floor = high["floor_blocks_a_second"], low["floor_blocks_a_second"]
        rate, what = _ENOUGH * (floor[0] + part * (floor[1] - floor[0])), "about"
    return {"falls_to_0.9_at": what, "blocks_a_second": round(rate, 2)}


if __name__ == "__main__":
    script("scaling", Scaling, run, CASE, __doc__)
