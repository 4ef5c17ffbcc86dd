"""Claims: the frame cache makes a further checkpoint 3 times faster, to 1.3 times its tower's time.

    python -m benchmarks.reextract FOLDER      # two minutes for 100 short clips on two cores
    python -m benchmarks.reextract FOLDER --model ViT-B-32 --frames 8 --pairs 3      # half an hour

Extracts the videos of a folder (random weights, whose values do not change the work) again and
again, each time into a new store: in the row `without` from the frame cache, in turns with decoding
the videos; in the row `tower` from the frame cache, in turns with encoding the same frames alone,
which lie normalised in memory. Loading and digesting the model is not counted: it is the same in
all. The first row also says whether embeddings are bit-equal with and without the cache. Expected:
a `ratio` of a third or less without the cache, where the tower is small; 1.3 or less beside the
tower where that is the work, as ViT-B-32's is: beside one as small as vifi-tiny's, reading and
writing are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro

from vifi.bench.bench_settings import Bench
from vifi.bench.inputs import scanned
from vifi.bench.recording import in_scratch, script
from vifi.bench.timing import elapsed, pairs
from vifistore.errors import DecodeError
from vifistore.extract.decoded_rows import open_pools
from vifistore.extract.encoder import Encoder
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.job import extract_dataset
from vifistore.extract.recipes import choose_device, resolve_recipe
from vifistore.frames.preprocess import normalise
from vifistore.models.encoders import LoadedModel
from vifistore.models.towers import load_model
from vifistore.store.dataset import Dataset

CASE = ("beside", "model", "precision", "videos", "clip_frames")


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
    pairs: int = 2
    """Times that each is measured, in turns with what it is compared with."""


@in_scratch
def run(settings: Reextract, scratch: Path) -> Iterator[dict]:
    """Two rows: extractions from the frame cache beside those without, and beside their tower."""
    plain = ExtractSettings(
        model=settings.model,
        pretrained="none",
        frames=settings.frames,
        device=settings.device,
        precision=settings.precision,
        compile=False,
    )
    cache = scratch / "frames"
    cached, loaded = replace(plain, frame_cache=cache), load_model(settings.model, "none")
    paths = [scratch / f"{number}.zarr" for number in range(2 + 3 * settings.pairs)]
    datasets = [scanned(path, settings.folder).dataset("videos") for path in paths]
    left = iter(datasets)

    def extract(how: ExtractSettings) -> None:
        extract_dataset(next(left), how, loaded=loaded)

    # The first reading of the files is nobody's to pay; the model's first pass neither.
    extract(plain)
    filling = elapsed(lambda: extract(cached))
    taken = pairs(lambda: extract(cached), lambda: extract(plain), settings.pairs)
    size = sum(path.stat().st_size for path in cache.rglob("*.frames"))
    yield {
        **described("without", settings, datasets[0]),
        "cache_megabytes": round(size / 1e6, 1),
        "seconds_filling": round(filling, 2),
        **taken.row(),
        "speed_up": round(1 / taken.ratio.p50, 2),
        # The third is the first that read the cache; the second filled it.
        "is_bit_equal": are_equal(datasets[0], datasets[2]),
    }
    videos = cached_pixels(datasets[0], cached, loaded)
    taken = pairs(lambda: extract(cached), lambda: encode(cached, loaded, videos), settings.pairs)
    yield {**described("tower", settings, datasets[0]), **taken.row()}


def described(beside: str, settings: Reextract, dataset: Dataset) -> dict:
    """What was measured."""
    (features,) = map(dataset.features, dataset.feature_ids())
    counts = features.counts()
    return {
        "beside": beside,
        "model": settings.model,
        "precision": settings.precision,
        "videos": counts["done"],
        "quarantined": counts["quarantined"],
        "clip_frames": settings.frames,
        "pairs": settings.pairs,
    }


def are_equal(*datasets: Dataset) -> bool:
    """Whether the only feature sets of two datasets hold the same bytes."""
    one, other = (d.features(d.feature_ids()[0]).read("frames").view(np.uint16) for d in datasets)
    return np.array_equal(one, other)


def cached_pixels(
    dataset: Dataset, settings: ExtractSettings, loaded: LoadedModel
) -> list[tuple[str, torch.Tensor]]:
    """(content digest, float32 [frame 3 size size]) of each video, twins once."""
    preprocessing = resolve_recipe(settings, loaded).preprocessing
    device, found = choose_device(settings.device), {}
    addresses = (footage.address for footage in dataset.files())
    with open_pools(settings, preprocessing, device) as pool:
        for _, video in pool.decode(enumerate(addresses)):
            if not isinstance(video, DecodeError):
                levels = torch.from_numpy(video.frames)
                found[video.content_digest] = normalise(levels, preprocessing)
    return list(found.items())


def encode(
    settings: ExtractSettings, loaded: LoadedModel, videos: list[tuple[str, torch.Tensor]]
) -> None:
    """Run the tower over frames [frame 3 size size] of all videos, its results on the CPU."""
    device = choose_device(settings.device)
    encoder = Encoder(loaded, precision=settings.precision, device=device, batch=settings.batch)
    for _, embeddings in encoder.encode(videos):
        embeddings.cpu()


if __name__ == "__main__":
    script("reextract", Reextract, run, CASE, __doc__)
