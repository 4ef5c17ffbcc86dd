"""Extraction with an encoder that sees the frames of a view together, beside its parts.

The encoder is the image tower of a model of OpenCLIP with a small transformer over time behind it,
both with random weights: what it costs is what counts.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from vifi.bench.bench_settings import Pipeline
from vifi.bench.inputs import scanned
from vifi.bench.pipeline_parts import beside_parts, decode_only, encode_only, median
from vifi.bench.timing import quantiles
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.job import extract_dataset
from vifistore.extract.recipes import choose_device, resolve_recipe
from vifistore.models.encoders import CLIP, LoadedModel, TextSide
from vifistore.models.openclip_model import require_openclip
from vifistore.models.towers import load_model
from vifistore.store.recipe import digest_of

_LAYERS, _HEADS = 2, 4


class TimeTower(nn.Module):
    """An image tower, and a transformer over the embeddings of a view's frames."""

    def __init__(self, visual: nn.Module, dim: int, num_frames: int) -> None:
        super().__init__()
        self.visual = visual
        self.places = nn.Parameter(torch.zeros(num_frames, dim))
        layer = nn.TransformerEncoderLayer(
            dim, _HEADS, 4 * dim, activation="gelu", batch_first=True, norm_first=True
        )
        self.over_time = nn.TransformerEncoder(layer, _LAYERS, enable_nested_tensor=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """[view frame 3 height width] -> [view dim]."""
        frames = self.visual(pixels.flatten(0, 1)).unflatten(0, pixels.shape[:2])
        return self.over_time(frames + self.places).mean(1)


@dataclass(kw_only=True, repr=False)
class TimeModel(LoadedModel):
    """That tower as an encoder, with the texts and pixels of the model it is made of."""

    tower: TimeTower
    base: LoadedModel

    @property
    def image_tower(self) -> TimeTower:
        """The tower."""
        return self.tower

    @property
    def text_side(self) -> TextSide:
        """The model's own."""
        return self.base.text_side

    @property
    def preprocess_config(self) -> dict:
        """Likewise."""
        return self.base.preprocess_config

    def to(self, device: torch.device | str) -> None:
        """Move both."""
        self.base.to(device)
        self.tower.to(device)


def time_model(model: str, num_frames: int) -> TimeModel:
    """The encoder of a model of OpenCLIP."""
    base = require_openclip(load_model(model, "none"), "an encoder over time is made of")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tower = TimeTower(base.image_tower, base.dim, num_frames)
    known = {**base.record(), "model": f"{model}+time", "name": "random"}
    return TimeModel(
        **{**known, "image_digest": digest_of({"over_time": base.image_digest})},
        identity=base.identity,
        preprocessing_from=base.preprocessing_from,
        kind=CLIP,
        num_frames=num_frames,
        tower=tower.eval().requires_grad_(False),
        base=base,
    )


def clip_speed(model: str, videos: Path, settings: Pipeline, stores: Path) -> dict:
    """A row: whole extractions, and decoding and encoding alone, of the videos of a folder."""
    loaded = time_model(model, settings.frames)
    wanted = ExtractSettings(
        model=loaded.model,
        pretrained="none",
        frames=settings.frames,
        precision=settings.precision,
        device=settings.device,
    )
    precision, device = resolve_recipe(wanted, loaded).precision, choose_device(wanted.device)
    paths = sorted(videos.iterdir())
    num_frames = len(paths) * settings.frames
    runs, decodings, encodings = [], [], []
    stores.mkdir(exist_ok=True)
    # In turns, so that what else the machine does falls on all.
    once = replace(settings, repeats=1)
    for number in range(settings.repeats):
        store = scanned(stores / f"{loaded.model}-{number}.zarr", videos)
        runs.append(extract_dataset(store.dataset("videos"), wanted, loaded=loaded).figures)
        decodings.append(median(once, lambda: decode_only(paths, wanted, loaded)))
        encodings.append(encode_only(once, num_frames, loaded, precision, device))
    taken = quantiles([figures["seconds"] for figures in runs])
    return {
        "case": "clip-speed",
        "model": loaded.model,
        "precision": precision,
        "videos": len(paths),
        "frames": num_frames,
        "pipeline_frames_per_second": round(num_frames / taken.p50, 2),
        **taken.row(),
        **beside_parts(taken.p50, quantiles(decodings).p50, quantiles(encodings).p50),
        **{key: value for key, value in runs[-1].items() if key.endswith("_share")},
    }
