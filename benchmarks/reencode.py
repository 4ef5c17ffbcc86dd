"""Claim: from the frame cache a checkpoint is extracted in at most 1.3 x the time of its tower.

    python -m benchmarks.reencode FOLDER          # some minutes for 100 short clips on two cores

Fills a frame cache by extracting the videos of a folder under one checkpoint (random weights, whose
values do not change the work), then alternates: the extraction of a further checkpoint, from the
cache into the store, and the encoding of the same frames alone, which lie normalised in memory.
Loading and digesting the model is not counted, nor is what another program takes from the cores:
the pairs stand beside each other. Expected: a ratio of 1.3 or less where the tower is the work, as
that of ViT-B-32 is; beside a tower as small as vifi-tiny's, reading and writing are.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.reextract import CASE, Reextract, checkpoint
from vifi.bench.inputs import scanned
from vifi.bench.recording import script
from vifi.bench.timing import elapsed, pairs_of
from vifistore.errors import DecodeError
from vifistore.extract.decoded_rows import open_pools
from vifistore.extract.encoder import Encoder
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.job import extract_dataset
from vifistore.extract.recipes import choose_device, resolve_recipe
from vifistore.extract.trainer_frames import video_paths
from vifistore.frames.preprocess import normalise
from vifistore.models.towers import LoadedModel
from vifistore.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Reencode(Reextract):
    """What is extracted."""

    model: str = "ViT-B-32"
    """OpenCLIP model name."""
    frames: int = 8
    """Frames per video."""
    pairs: int = 3
    """Times that both are measured."""


def cached_pixels(
    store: Store, settings: ExtractSettings, loaded: LoadedModel
) -> list[tuple[str, torch.Tensor]]:
    """(content digest, float32 [frame 3 size size]) of each video, twins once."""
    preprocessing = resolve_recipe(settings, loaded).preprocessing
    device, found = choose_device(settings.device), {}
    with open_pools(settings, preprocessing, device) as pool:
        for _, video in pool.decode(enumerate(video_paths(store.dataset("videos")))):
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
    return elapsed(lambda: [embeddings.cpu() for _, embeddings in encoder.encode(videos)])


def run(wanted: Reencode) -> Iterator[dict]:
    """One row: extractions from the frame cache beside their tower alone."""
    with tempfile.TemporaryDirectory() as scratch:
        yield measured(wanted, Path(scratch))


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
    filling = elapsed(lambda: extract_dataset(store.dataset("videos"), settings, loaded=first))
    videos = cached_pixels(store, settings, first)
    taken = pairs_of(_pair(store, settings, seed, videos) for seed in range(1, wanted.pairs + 1))
    return {
        "model": wanted.model,
        "precision": wanted.precision,
        "videos": len(videos),
        "clip_frames": wanted.frames,
        "pairs": wanted.pairs,
        "seconds_filling": round(filling, 2),
        **taken.row(),
    }


def _pair(
    store: Store,
    settings: ExtractSettings,
    seed: int,
    videos: list[tuple[str, torch.Tensor]],
) -> tuple[float, float]:
    """Seconds of extracting a further checkpoint, and of its tower alone."""
    model = checkpoint(settings.model, seed)
    # Once by each order, so that neither always comes second.
    first = None if seed % 2 else encoding_seconds(settings, model, videos)
    extracting = elapsed(lambda: extract_dataset(store.dataset("videos"), settings, loaded=model))
    return extracting, encoding_seconds(settings, model, videos) if first is None else first


if __name__ == "__main__":
    script("reencode", Reencode, run, CASE, __doc__)
