"""Claim: from the frame cache a checkpoint is extracted in at most 1.3 x the time of its tower.

    python -m benchmarks.reencode FOLDER          # some minutes for 100 short clips on two cores

Fills a frame cache by extracting the videos of a folder under one checkpoint (random weights, whose
values do not change the work), then alternates: the extraction of a further checkpoint, from the
cache into the store, and the encoding of the same frames alone, which lie normalised in memory. One
row in `benchmarks/results/reencode.csv`: the median seconds of each, the median of the ratios of
the pairs and the largest, machine and versions. Loading and digesting the model is not counted, nor
is what another program takes from the cores: the pairs stand beside each other. Expected: 1.3 or
less where the tower is the work, as that of ViT-B-32 is; beside a tower as small as vifi-tiny's,
reading and writing are.
"""

import os
import platform
import statistics
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch
import tyro

from benchmarks.reextract import Reextract, append_row, checkpoint, scanned, timed
from vifistore.errors import DecodeError
from vifistore.extract.encoder import Encoder
from vifistore.extract.recipes import choose_device, resolve_recipe
from vifistore.extract.settings import ExtractSettings
from vifistore.extract.source import open_pools
from vifistore.extract.trainer_frames import video_paths
from vifistore.frames.preprocess import normalise
from vifistore.models.towers import LoadedModel
from vifistore.store.store import Store

RESULTS = Path(__file__).parent / "results" / "reencode.csv"


@dataclass(frozen=True, kw_only=True)
class Reencode(Reextract):
    """What is extracted."""

    model: str = "ViT-B-32"
    """OpenCLIP model name."""
    frames: int = 8
    """Frames per video."""
    pairs: int = 3
    """Times that both are measured."""
    results: Path = RESULTS
    """CSV file that the row is added to."""


def cached_pixels(
    store: Store, settings: ExtractSettings, loaded: LoadedModel
) -> list[tuple[str, torch.Tensor]]:
    """(content digest, float32 [frame 3 size size]) of each video, twins once."""
    preprocessing = resolve_recipe(settings, loaded).preprocessing
    device, found = choose_device(settings.device), {}
    with open_pools(settings, preprocessing, device) as pool:
        for _, video in pool.decode(enumerate(video_paths(store.dataset("d")))):
            if not isinstance(video, DecodeError):
                levels = torch.from_numpy(video.frames)
                found[video.content_digest] = normalise(levels, preprocessing)
    return list(found.items())


def encoding_seconds(
    settings: ExtractSettings, loaded: LoadedModel, videos: list[tuple[str, torch.Tensor]]
) -> float:
    """Seconds of the tower over all frames, its results on the CPU."""
    device = choose_device(settings.device)
    encoder = Encoder(loaded, precision=settings.precision, device=device, batch=settings.batch)
    start = time.perf_counter()
    for _, embeddings in encoder.encode(videos):
        embeddings.cpu()
    return time.perf_counter() - start


def measured(wanted: Reencode, scratch: Path) -> dict:
    """The row of one run."""
    settings = ExtractSettings(
        model=wanted.model,
        pretrained="none",
        frames=wanted.frames,
        device=wanted.device,
        precision=wanted.precision,
        compile=False,
        frame_cache=scratch / "frames",
    )
    store = scanned(scratch / "s.zarr", wanted.folder)
    first = checkpoint(wanted.model, 0)
    filling = timed(store, settings, first)
    videos = cached_pixels(store, settings, first)
    extracting, encoding = [], []
    for seed in range(1, wanted.pairs + 1):
        model = checkpoint(wanted.model, seed)
        # Once by each order, so that neither always comes second.
        runs = [
            lambda model=model: extracting.append(timed(store, settings, model)),
            lambda model=model: encoding.append(encoding_seconds(settings, model, videos)),
        ]
        for measure in runs if seed % 2 else runs[::-1]:
            measure()
    ratios = [one / other for one, other in zip(extracting, encoding, strict=True)]
    return {
        "model": wanted.model,
        "device": wanted.device,
        "precision": wanted.precision,
        "videos": len(videos),
        "clip_frames": wanted.frames,
        "pairs": wanted.pairs,
        "seconds_filling": round(filling, 2),
        "seconds_extracting": round(statistics.median(extracting), 2),
        "seconds_encoding": round(statistics.median(encoding), 2),
        "ratio": round(statistics.median(ratios), 3),
        "largest_ratio": round(max(ratios), 3),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "versions": f"torch {torch.__version__}, decord2 {version('decord2')}",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def main(settings: Reencode) -> None:
    """Measure, and add the row to the results."""
    with tempfile.TemporaryDirectory() as scratch:
        row = measured(settings, Path(scratch))
    append_row(settings.results, row)
    print(*(f"{name} {value}" for name, value in row.items()), sep="\n")


if __name__ == "__main__":
    main(tyro.cli(Reencode, description=__doc__))
