"""Claim: with the frame cache a further checkpoint is extracted at least 3 times faster.

    python benchmarks/reextract.py FOLDER      # two minutes for 100 short clips on two cores

Extracts the videos of a folder under five checkpoints of one model (random weights, whose values do
not change the work): without a cache, filling it, with it, and the first and the last once more.
One row in `benchmarks/results/reextract.csv`: the best seconds of each, their ratio, whether the
embeddings of one checkpoint are bit-equal with and without the cache, machine and versions. Loading
and digesting the model is not counted: it is the same with and without. Expected: a ratio of 3 or
more with a small tower; with a large one on a CPU the tower is all that is left to wait for.
"""

import csv
import os
import platform
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import tyro

from vifistore.extract.job import extract_dataset
from vifistore.extract.scan import add_listing, new_rows
from vifistore.extract.settings import ExtractSettings
from vifistore.models.checkpoints import CheckpointHeader
from vifistore.models.registry import model_config
from vifistore.models.skeletons import new_model
from vifistore.models.towers import LoadedModel, describe
from vifistore.store.store import Store, create_store
from vifistore.videos.listing import read_source
from vifistore.videos.probe import probe_all

RESULTS = Path(__file__).parent / "results" / "reextract.csv"


@dataclass(frozen=True, kw_only=True)
class Reextract:
    """What is extracted."""

    folder: tyro.conf.Positional[Path]
    """Folder of videos."""
    model: str = "vifi-tiny"
    """OpenCLIP model name."""
    frames: int = 16
    """Frames per video."""
    device: str = "auto"
    """cpu, cuda, or auto."""
    precision: str = "fp32"
    """Arithmetic of the image tower."""
    results: Path = RESULTS
    """CSV file that the row is added to."""


def checkpoint(model: str, seed: int) -> LoadedModel:
    """Random weights, other ones for another seed."""
    header = CheckpointHeader(
        model=model, config=model_config(model), name=f"seed-{seed}", step=0, parent="", settings={}
    )
    return describe(new_model(model, seed).eval().requires_grad_(False), header)


def scanned(path: Path, folder: Path) -> Store:
    """A new store of the videos of a folder."""
    listing = read_source(folder)
    store = create_store(path)
    rows = new_rows(None, listing, append=False)
    add_listing(
        store.new_dataset("d"),
        listing,
        rows,
        probe_all(folder / listing.paths[row] for row in rows),
    )
    return store


def timed(store: Store, settings: ExtractSettings, loaded: LoadedModel) -> float:
    """Seconds of one extraction."""
    start = time.perf_counter()
    extract_dataset(store.dataset("d"), settings, loaded=loaded)
    return time.perf_counter() - start


def measured(settings: Reextract, scratch: Path) -> dict:
    """The row of one run."""
    plain = ExtractSettings(
        model=settings.model,
        pretrained="none",
        frames=settings.frames,
        device=settings.device,
        precision=settings.precision,
    )
    cached = replace(plain, frame_cache=scratch / "frames")
    models = [checkpoint(settings.model, seed) for seed in range(5)]
    store = scanned(scratch / "plain.zarr", settings.folder)
    again = scanned(scratch / "cached.zarr", settings.folder)
    # The first reading of the files is nobody's to pay; the model's first pass neither.
    timed(store, plain, models[0])
    without = [timed(store, plain, models[1])]
    filling = timed(again, cached, models[0])
    with_cache = [timed(again, cached, models[2])]
    without.append(timed(store, plain, models[3]))
    with_cache.append(timed(again, cached, models[4]))
    counts = store.features("d", f"{settings.model}@seed-0.{settings.frames}f").counts()
    frames = [
        s.features("d", f"{settings.model}@seed-0.{settings.frames}f").read("frames")
        for s in (store, again)
    ]
    size = sum(path.stat().st_size for path in cached.frame_cache.rglob("*.frames"))
    return {
        "model": settings.model,
        "videos": counts["done"],
        "quarantined": counts["quarantined"],
        "clip_frames": settings.frames,
        "cache_megabytes": round(size / 1e6, 1),
        "seconds_without": round(min(without), 2),
        "seconds_filling": round(filling, 2),
        "seconds_with": round(min(with_cache), 2),
        "ratio": round(min(without) / min(with_cache), 2),
        "is_bit_equal": bool(np.array_equal(frames[0].view(np.uint16), frames[1].view(np.uint16))),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "versions": f"torch {torch.__version__}, decord2 {version('decord2')}",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def append_row(results: Path, row: dict) -> None:
    """Add a row to a CSV file, which is made if it is not there."""
    is_new = not results.exists()
    results.parent.mkdir(parents=True, exist_ok=True)
    with results.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def main(settings: Reextract) -> None:
    """Measure, and add the row to the results."""
    with tempfile.TemporaryDirectory() as scratch:
        row = measured(settings, Path(scratch))
    append_row(settings.results, row)
    print(*(f"{name} {value}" for name, value in row.items()), sep="\n")


if __name__ == "__main__":
    main(tyro.cli(Reextract, description=__doc__))
