"""Claim: from files to embeddings takes little longer than the slower of decoding and encoding.

    python -m benchmarks.from_files --device cuda
    python -m benchmarks.from_files --tiny --device cpu           # some seconds

Writes clips of the size and bit rate of Kinetics (340 x 256, H.264, at most 250 frames from one key
frame to the next), all with other bytes, and extracts them with random weights by each decoder: one
row a decoder, or why it is not to be had. `share_of_slower` is the extraction's rate over the
smaller of those of decoding alone and encoding alone in the same run. Clocks begin when workers
have started and the tower is compiled; a few videos a worker are decoded ahead by then.
Expected: on a GPU at least 0.9.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from vifi.bench.bench_settings import Bench, Pipeline
from vifi.bench.inputs import scanned, write_clip, write_copies
from vifi.bench.pipeline_parts import encode_only
from vifi.bench.recording import in_scratch, script
from vifi.bench.timing import elapsed
from vifistore.errors import UsageError, first_line
from vifistore.extract.decoded_rows import open_pools
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.job import extract_dataset
from vifistore.extract.recipes import choose_device, choose_precision, resolve_recipe
from vifistore.models.encoders import LoadedModel
from vifistore.models.towers import load_model

CASE = ("decoder", "model", "precision", "videos", "width", "height", "clip_frames")
_TINY = {"model": "vifi-tiny", "videos": 8, "distinct": 2, "clip_frames": 12, "frames": 4}


@dataclass(frozen=True, kw_only=True)
class FromFiles(Bench):
    """Extract clips that are made."""

    model: str = "ViT-B-16"
    """OpenCLIP model, with random weights."""
    videos: int = 768
    """Files."""
    distinct: int = 16
    """Files that are made; the others are copies with other bytes at their end."""
    clip_frames: int = 300
    """Frames of a file."""
    frames: int = 32
    """Frames that are taken of a file."""
    width: int = 340
    """Pixels."""
    height: int = 256
    """Pixels."""
    decoders: tuple[str, ...] = ("pyav", "torchcodec-cuda")
    """Decoders, one after the other."""
    workers: int = 0
    """Decoding processes; 0 chooses as extraction does."""
    precision: str = "auto"
    """Arithmetic: fp32, bf16, or auto."""
    device: str = "auto"
    """cpu, cuda, cuda:1, or auto."""
    tiny: bool = False
    """A model and clips so small that nothing but the running is tried."""


@in_scratch
def run(settings: FromFiles, scratch: Path) -> Iterator[dict]:
    """A row for each decoder."""
    settings = replace(settings, **_TINY) if settings.tiny else settings
    videos = make_videos(settings, scratch)
    loaded = load_model(settings.model, "none")
    encoding = _encode_rate(settings, loaded)
    for decoder in settings.decoders:
        try:
            yield measured(settings, decoder, loaded, videos, encoding)
        except UsageError as error:
            yield {"decoder": decoder, "model": settings.model, "skipped": first_line(error, 300)}


def make_videos(settings: FromFiles, scratch: Path) -> Path:
    """Write the files; returns their folder."""
    made, videos = scratch / "made", scratch / "videos"
    made.mkdir()
    with ThreadPoolExecutor() as threads:
        list(threads.map(partial(_make_clip, settings, made), range(settings.distinct)))
    write_copies(sorted(made.iterdir()), videos, settings.videos)
    return videos


def _make_clip(settings: FromFiles, folder: Path, seed: int) -> None:
    """A pattern that moves, with grain, which costs bits as that of a camera does."""
    rng = np.random.default_rng(seed)
    size = settings.height, settings.width
    rows, columns = (-(-length // 8) for length in size)
    blocks = rng.integers(0, 232, (rows, columns, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    grain = rng.integers(0, 24, (8, *size, 1), np.uint8)
    picture = blocks[: size[0], : size[1]]
    pictures = (
        np.roll(picture, 2 * number, axis=1) + grain[number % 8]
        for number in range(settings.clip_frames)
    )
    how = {"preset": "veryfast", "crf": "23", "threads": "1"}
    write_clip(folder / f"{seed}.mp4", size[::-1], pictures, how)


def _wanted(settings: FromFiles, decoder: str) -> ExtractSettings:
    return ExtractSettings(
        model=settings.model,
        pretrained="none",
        frames=settings.frames,
        decoder=decoder,
        workers=settings.workers,
        precision=settings.precision,
        device=settings.device,
    )


def _encode_rate(settings: FromFiles, loaded: LoadedModel) -> float:
    """Frames a second of encoding alone."""
    device, num_frames = choose_device(settings.device), settings.videos * settings.frames
    precision = choose_precision(settings.precision, device)
    return num_frames / encode_only(Pipeline(), num_frames, loaded, precision, device)


def measured(
    settings: FromFiles, decoder: str, loaded: LoadedModel, videos: Path, encoding: float
) -> dict:
    """The row of a decoder, beside the rate of encoding alone, frames a second. Raises UsageError
    for one that is not to be had."""
    wanted = _wanted(settings, decoder)
    recipe, paths = resolve_recipe(wanted, loaded), sorted(videos.iterdir())
    num_frames = len(paths) * settings.frames
    decoding = num_frames / _decode_seconds(paths, wanted, loaded)
    store = scanned(videos.with_name(f"{decoder}.zarr"), videos)
    figures = extract_dataset(store.dataset("videos"), wanted, loaded=loaded).figures
    rate = num_frames / figures["seconds"]
    return {
        "decoder": decoder,
        "model": settings.model,
        "precision": recipe.precision,
        "videos": len(paths),
        "width": settings.width,
        "height": settings.height,
        "clip_frames": settings.clip_frames,
        "frames": num_frames,
        "megabytes": round(sum(path.stat().st_size for path in paths) / 1e6, 1),
        "decode_frames_per_second": round(decoding, 1),
        "encode_frames_per_second": round(encoding, 1),
        "frames_per_second": round(rate, 1),
        "share_of_slower": round(rate / min(decoding, encoding), 3),
        "quarantined": figures["quarantined"],
        **{key: value for key, value in figures.items() if key.endswith("_share")},
    }


def _decode_seconds(paths: list[Path], wanted: ExtractSettings, loaded: LoadedModel) -> float:
    """Seconds of decoding alone, by workers that have started."""
    preprocessing = resolve_recipe(wanted, loaded).preprocessing
    with open_pools(wanted, preprocessing, choose_device(wanted.device)) as pool:

        def decode(chosen: list[Path]) -> None:
            for _ in pool.decode(enumerate(chosen)):
                pass

        decode(paths[: min(len(paths), 32)])
        return elapsed(lambda: decode(paths))


if __name__ == "__main__":
    script("from_files", FromFiles, run, CASE, __doc__)
