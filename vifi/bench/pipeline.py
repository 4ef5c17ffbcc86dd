"""Claim: extraction is bound by the encoder or by decoding, never by waiting, in constant memory.

    vifi bench pipeline --folder VIDEOS           # ViT-B-32 and ViT-B-16 on two cores: 12 minutes
    vifi bench pipeline --folder VIDEOS --models ViT-B-32 --num-videos 12
    vifi bench pipeline --tiny                    # a few seconds, on clips made for it

For each model, with random weights and on the same videos: the loop a user would write (decord,
OpenCLIP's own transform on PIL images, fp32, one process), the whole pipeline, decoding alone,
encoding alone, and the cosine of stored embeddings with fp32 ones. Then, without loop and cosine,
the same of an encoder that sees the frames of a view together (`clip_pipeline.py`). Then the peak
memory of extractions of few and of many videos, each in a process of its own. `p50_ms` is the time
of the whole pipeline, the median of --repeats, as are the seconds of its parts.

Expected: on a CPU with bf16 instructions at least 2.3 times the loop's frames per second, and at
most 1.1 times decoding plus encoding alone, of either kind of encoder; without them at least the
loop's. With a GPU at most 1.15 times the larger of the two. Peak memory equal within 10%. At least
0.999 cosine.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from vifi.bench.arithmetic import image_flops, measure_matmul
from vifi.bench.bench_settings import Pipeline
from vifi.bench.clip_pipeline import clip_speed
from vifi.bench.inputs import find_videos, scanned, write_copies, write_noise_clip
from vifi.bench.pipeline_parts import beside_parts, decode_only, encode_only, median
from vifi.bench.timing import Quantiles, elapsed, peak_mebibytes, quantiles
from vifistore.errors import DecodeError, UsageError
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.job import JobReport, extract_dataset
from vifistore.extract.recipes import choose_device, resolve_recipe
from vifistore.frames.decoders.decoding import decode_video
from vifistore.frames.sampling import sample_indices
from vifistore.models.openclip_model import OpenClipModel, require_openclip
from vifistore.models.registry import open_clip
from vifistore.models.towers import load_model
from vifistore.store.store import Store

CASE = ("case", "model", "precision", "videos", "frames")
_NUM_COMPARED = 4


def run(settings: Pipeline) -> Iterator[dict]:
    """A row of speed for each model and each encoder of whole views, then one of memory for each
    number of videos."""
    if settings.tiny:
        sizes = {"models": ("vifi-tiny",), "frames": 2, "num_videos": 3, "memory_videos": (2, 4)}
        sizes["clip_models"] = ("vifi-tiny",)
        settings = replace(settings, **sizes)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        videos = _chosen_videos(settings, folder / "videos")
        for model in settings.models:
            yield speed(model, videos, settings, folder / "stores")
        for model in settings.clip_models:
            yield clip_speed(model, videos, settings, folder / "stores")
    for count in settings.memory_videos:
        # A process of its own: a peak cannot be taken back.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            yield {"case": "memory"} | process.submit(memory, count).result()


def speed(model: str, videos: Path, settings: Pipeline, stores: Path) -> dict:
    """Every way of encoding the videos of a folder with one model."""
    loaded = require_openclip(load_model(model, "none"), "the loop encodes with")
    wanted = ExtractSettings(
        model=model,
        pretrained="none",
        frames=settings.frames,
        precision=settings.precision,
        device=settings.device,
    )
    recipe, device = resolve_recipe(wanted, loaded), choose_device(wanted.device)
    paths = sorted(videos.iterdir())
    num_frames = len(paths) * settings.frames
    loops, runs = [], []
    # In turns, so that what else the machine does falls on both.
    for number in range(settings.repeats):
        loops.append(elapsed(lambda: plain_loop(paths, loaded, settings.frames, device)))
        runs.append(_extracted(stores / f"{model}-{number}.zarr", videos, wanted, loaded))
    store, report = runs[-1]
    decode_seconds = median(settings, lambda: decode_only(paths, wanted, loaded))
    encode_seconds = encode_only(settings, num_frames, loaded, recipe.precision, device)
    taken = quantiles([report.figures["seconds"] for _, report in runs])
    return {
        "case": "speed",
        "model": model,
        "precision": recipe.precision,
        "videos": len(paths),
        "frames": num_frames,
        "distinct_frames": report.figures["frames_encoded"],
        **_ratios(num_frames, quantiles(loops).p50, taken, decode_seconds, encode_seconds),
        "lowest_cosine_with_fp32": _lowest_cosine(store, report.name, loaded, settings.frames),
        **{key: value for key, value in report.figures.items() if key.endswith("_share")},
        **_arithmetic(loaded, report.figures, device, recipe.precision),
    }


def _arithmetic(
    loaded: OpenClipModel, run: Mapping, device: torch.device, precision: str
) -> dict[str, float]:
    """What the image tower computes in a second of a run, beside a matrix product of its dtype."""
    flops = image_flops(loaded) * run["frames_encoded"] / run["seconds"]
    rate = measure_matmul(device, torch.bfloat16 if precision == "bf16" else torch.float32)
    return {"matmul_share": round(flops / rate, 4), "tflops": round(flops / 1e12, 4)}


def _ratios(
    num_frames: int,
    loop_seconds: float,
    taken: Quantiles,
    decode_seconds: float,
    encode_seconds: float,
) -> dict[str, float]:
    """The pipeline's time beside the loop's and that of its own parts."""
    return {
        "loop_frames_per_second": round(num_frames / loop_seconds, 2),
        "pipeline_frames_per_second": round(num_frames / taken.p50, 2),
        "times_the_loop": round(loop_seconds / taken.p50, 3),
        **taken.row(),
        **beside_parts(taken.p50, decode_seconds, encode_seconds),
    }


def plain_loop(
    paths: list[Path], loaded: OpenClipModel, num_frames: int, device: torch.device
) -> list[torch.Tensor]:
    """What a user would write: float32 [frame dim] a video."""
    import decord

    transform = _openclip_transform(loaded)
    clip = loaded.clip.to(device)
    found = []
    for path in paths:
        reader = decord.VideoReader(str(path))
        wanted = sample_indices(len(reader), num_frames, 1)[0]
        frames = reader.get_batch(wanted).asnumpy()
        pixels = torch.stack([transform(Image.fromarray(frame)) for frame in frames])
        with torch.inference_mode():
            found.append(clip.visual(pixels.to(device)).cpu())
    clip.cpu()
    return found


def _extracted(
    path: Path, videos: Path, wanted: ExtractSettings, loaded: OpenClipModel
) -> tuple[Store, JobReport]:
    path.parent.mkdir(exist_ok=True)
    store = scanned(path, videos)
    return store, extract_dataset(store.dataset("videos"), wanted, loaded=loaded)


def _lowest_cosine(store: Store, name: str, loaded: OpenClipModel, num_frames: int) -> float:
    """Of stored frame embeddings with those of OpenCLIP's transform and fp32, over few videos."""
    videos, transform = store.videos("videos"), _openclip_transform(loaded)
    stored = store.features("videos", name).read("frames")
    lowest = 1.0
    for row in range(0, len(videos), max(1, len(videos) // _NUM_COMPARED)):
        path = store.dataset("videos").files()[row]
        video = decode_video(path, frames=num_frames, clips=1, decoder="decord")
        images = [Image.fromarray(video.frames[number]) for number in video.index[0]]
        with torch.inference_mode():
            exact = loaded.clip.visual(torch.stack([transform(image) for image in images]))
        found = torch.from_numpy(stored[row, 0].astype(np.float32))
        lowest = min(lowest, float(torch.cosine_similarity(found, exact).min()))
    return round(lowest, 6)


def _openclip_transform(loaded: OpenClipModel) -> Any:
    return open_clip.transform.image_transform_v2(
        open_clip.transform.PreprocessCfg(**loaded.preprocess_config), is_train=False
    )


def memory(num_videos: int) -> dict:
    """Peak memory of this process after an extraction of small clips, each with other bytes."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, clip = Path(scratch) / "videos", Path(scratch) / "clip.mp4"
        write_noise_clip(clip, 0)
        write_copies([clip], folder, num_videos)
        store = scanned(Path(scratch) / "S.zarr", folder)
        wanted = ExtractSettings(model="vifi-tiny", pretrained="none", frames=8, device="cpu")
        report = extract_dataset(store.dataset("videos"), wanted)
        return {
            "videos": num_videos,
            "encoded": report.encoded,
            "seconds": report.figures["seconds"],
            "peak_mebibytes": round(peak_mebibytes()),
        }


def _chosen_videos(settings: Pipeline, folder: Path) -> Path:
    """A folder of copies of the videos to read, all of which decord can read."""
    folder.mkdir()
    if settings.tiny or settings.folder is None:
        for number in range(settings.num_videos):
            write_noise_clip(folder / f"{number}.mp4", number)
        return folder
    for number, path in enumerate(find_videos(settings.folder, settings.num_videos)):
        try:
            decode_video(path, frames=2, clips=1, decoder="decord")
        except DecodeError:
            continue
        shutil.copy(path, folder / f"{number:04}{path.suffix}")
    if not any(folder.iterdir()):
        raise UsageError(f"decord reads no video of {settings.folder}; give another --folder")
    return folder
