"""Claim: with the frame cache a further checkpoint is extracted at least 3 times faster.

    python -m benchmarks.reextract FOLDER      # two minutes for 100 short clips on two cores

Extracts the videos of a folder under three checkpoints of one model (random weights, whose values
do not change the work): one fills the cache, the others are two pairs, with it and without. The row
also says whether the embeddings of one checkpoint are bit-equal with and without the cache. Loading
and digesting the model is not counted: it is the same with and without. Expected: a `speed_up` of 3
or more with a small tower; with a large one on a CPU the tower is all that is left to wait for.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro

from vifi.bench.bench_settings import Bench
from vifi.bench.inputs import scanned
from vifi.bench.recording import script
from vifi.bench.timing import elapsed, pairs
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.job import extract_dataset
from vifistore.models.checkpoint_files import CheckpointHeader
from vifistore.models.registry import model_config
from vifistore.models.skeletons import new_model
from vifistore.models.towers import LoadedModel, describe

CASE = ("model", "precision", "videos", "clip_frames")
_PAIRS = 2


@dataclass(frozen=True, kw_only=True)
class Reextract(Bench):
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


def checkpoint(model: str, seed: int) -> LoadedModel:
    """Random weights, other ones for another seed."""
    header = CheckpointHeader(
        model=model, config=model_config(model), name=f"seed-{seed}", step=0, parent="", settings={}
    )
    return describe(new_model(model, seed).eval().requires_grad_(False), header)


def run(settings: Reextract) -> Iterator[dict]:
    """One row: extractions with the frame cache and without."""
    with tempfile.TemporaryDirectory() as scratch:
        yield measured(settings, Path(scratch))


def measured(settings: Reextract, scratch: Path) -> dict:
    """The row of one run."""
    plain = ExtractSettings(
        model=settings.model,
        pretrained="none",
        frames=settings.frames,
        device=settings.device,
        precision=settings.precision,
    )
    cache = scratch / "frames"
    cached = replace(plain, frame_cache=cache)
    models = [checkpoint(settings.model, seed) for seed in range(1 + _PAIRS)]
    store = scanned(scratch / "plain.zarr", settings.folder)
    again = scanned(scratch / "cached.zarr", settings.folder)
    # The first reading of the files is nobody's to pay; the model's first pass neither.
    extract_dataset(store.dataset("videos"), plain, loaded=models[0])
    filling = elapsed(lambda: extract_dataset(again.dataset("videos"), cached, loaded=models[0]))
    to_do, to_do_again = iter(models[1:]), iter(models[1:])
    taken = pairs(
        lambda: extract_dataset(again.dataset("videos"), cached, loaded=next(to_do_again)),
        lambda: extract_dataset(store.dataset("videos"), plain, loaded=next(to_do)),
        _PAIRS,
    )
    sets = [
        s.features("videos", f"{settings.model}@seed-0.{settings.frames}f") for s in (store, again)
    ]
    counts = sets[0].counts()
    frames = [features.read("frames") for features in sets]
    size = sum(path.stat().st_size for path in cache.rglob("*.frames"))
    return {
        "model": settings.model,
        "precision": settings.precision,
        "videos": counts["done"],
        "quarantined": counts["quarantined"],
        "clip_frames": settings.frames,
        "cache_megabytes": round(size / 1e6, 1),
        "seconds_filling": round(filling, 2),
        **taken.row(),
        "speed_up": round(1 / taken.ratio.p50, 2),
        "is_bit_equal": bool(np.array_equal(frames[0].view(np.uint16), frames[1].view(np.uint16))),
    }


if __name__ == "__main__":
    script("reextract", Reextract, run, CASE, __doc__)
