"""Parameters, multiply-accumulates and throughput of a model, image tower and text tower apart.

    vifi bench compute --model ViT-B-16-quickgelu --frames 16 --features vifi-clip --results DIR

The paper's Tables 6 and 9 count multiply-accumulates of the image tower alone and call them GFLOPs:
281 for 16 frames of ViT-B-16 are 16 x 17.56. The text tower, which its code runs for all classes at
every forward pass, costs 2.98 for each class with the full context; the rows say both. Parameters:
ViFi-CLIP's count of 124.7 million leaves out the table of tokens, which is never trained.
What a system adds to CLIP has a row of its own, `added`; the cells of the tables count it in.
Throughput is of pixels that lie on the device, preprocessed already, in views a second.
"""

from collections.abc import Iterator

import torch
from torch import nn

from harness.results.json_artefacts import Cost
from vifi.bench.bench_settings import Compute
from vifi.bench.counting import (
    Counts,
    TokensToTexts,
    added_counts,
    cost_counts,
    head_counts,
    image_counts,
    text_counts,
)
from vifi.bench.machine import machine
from vifi.bench.timing import peak_bytes, seconds
from vifistore.extract.encoder import Encoder
from vifistore.extract.recipes import choose_device, choose_precision
from vifistore.models.openclip_model import OpenClipModel, require_tunable
from vifistore.models.towers import load_model
from vifistore.training.heads.head_files import Head, load_head

CASE = (
    *("tower", "kind", "model", "precision", "way"),
    *("frames", "views", "context", "classes"),
)


def run(settings: Compute) -> Iterator[dict]:
    """A row for each tower, and one for a head or for what a system adds; fills the cells of the
    tables if asked to."""
    device = choose_device(settings.device)
    precision = choose_precision(settings.precision, device)
    made = load_model(settings.model, settings.pretrained)
    loaded = require_tunable(made, "vifi bench compute counts")
    head = load_head(settings.head) if settings.head else None
    added = _added(loaded, head, settings)
    common = {"model": settings.model, "pretrained": loaded.name, "precision": precision}
    image = image_counts(loaded, settings.frames)
    image |= _image_speed(settings, loaded, head, device, precision)
    text = text_counts(loaded) | _text_speed(settings, loaded, device, precision)
    yield image | common
    yield text | common
    if added:
        yield added | common
    if settings.results is not None:
        record = {
            "features": settings.features,
            "model": settings.model,
            "frames": settings.frames,
            "throughput": image["views_per_second"],
            "text_classes_per_second": text["classes_per_second"],
            **cost_counts(image, text, added),
        }
        here = {"device": machine(settings.device)["device"], "precision": precision}
        Cost.add(settings.results, [Cost.from_dict(record | here)])


def _added(loaded: OpenClipModel, head: Head | None, settings: Compute) -> Counts:
    if head is not None:
        return head_counts(head, settings.frames)
    return added_counts(loaded, settings.frames, settings.classes)


def _image_speed(
    settings: Compute,
    loaded: OpenClipModel,
    head: Head | None,
    device: torch.device,
    precision: str,
) -> dict:
    """How fast views are encoded and pooled, what a system or a head adds included."""
    num_frames = settings.views * settings.frames
    encoder = Encoder(
        loaded,
        precision=precision,
        device=device,
        batch=num_frames,
        compiled=device.type == "cuda",
        frames=settings.frames,
    )
    pixels = torch.randn_like(encoder.blank(num_frames // encoder.frames_per_row))
    pooling = head.pooling.to(device).eval() if head else _Mean()

    @torch.inference_mode()
    def call() -> None:
        ((_, embeddings),) = encoder.encode([(None, pixels)])
        pooling(embeddings.reshape(settings.views, -1, loaded.dim))

    taken = seconds(call, settings.repeats, device)
    return {
        "way": "compiled" if encoder.is_compiled else "eager",
        "views": settings.views,
        **taken.row(),
        "views_per_second": settings.views / taken.p50,
        "frames_per_second": num_frames / taken.p50,
        "peak_bytes": peak_bytes(call, device),
    }


def _text_speed(
    settings: Compute, loaded: OpenClipModel, device: torch.device, precision: str
) -> dict:
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    text = TokensToTexts(loaded.clip).to(device, dtype)
    context = loaded.text_side.context_length
    tokens = torch.ones(settings.classes, context, dtype=torch.long, device=device)

    @torch.inference_mode()
    def call() -> None:
        text(tokens)

    taken = seconds(call, settings.repeats, device)
    return {
        "way": "eager",
        "classes": settings.classes,
        **taken.row(),
        "classes_per_second": settings.classes / taken.p50,
        "peak_bytes": peak_bytes(call, device),
    }


class _Mean(nn.Module):
    """Embedding fusion."""

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return frames.mean(-2)
