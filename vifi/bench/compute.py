"""Parameters, multiply-accumulates and throughput of a model, image tower and text tower apart.

    vifi bench compute --model ViT-B-16-quickgelu --frames 16 --features vifi-clip --results DIR

The paper's Tables 6 and 9 count multiply-accumulates of the image tower alone and call them GFLOPs:
281 for 16 frames of ViT-B-16 are 16 x 17.56. The text tower, which its code runs for all classes at
every forward pass, costs 2.98 for each class with the full context; the rows say both. Parameters:
ViFi-CLIP's count of 124.7 million leaves out the table of tokens, which is never trained.
Throughput is of pixels that lie on the device, preprocessed already, in views a second.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from harness.results.json_artefacts import Cost
from vifi.bench.arithmetic import forward_flops, image_flops
from vifi.bench.bench_settings import Compute
from vifi.bench.machine import machine
from vifi.bench.timing import peak_bytes, seconds
from vifistore.errors import UsageError
from vifistore.extract.encoder import Encoder
from vifistore.extract.recipes import choose_device, choose_precision
from vifistore.models.openclip_model import OpenClipModel, require_openclip
from vifistore.models.openclip_parts import Clip
from vifistore.models.towers import load_model
from vifistore.training.heads.head_files import Head, load_head

CASE = (
    *("tower", "kind", "model", "precision", "way"),
    *("frames", "views", "context", "classes"),
)


def run(settings: Compute) -> Iterator[dict]:
    """A row for each tower, and one for a head; fills the cells of the tables if asked to."""
    device = choose_device(settings.device)
    precision = choose_precision(settings.precision, device)
    made = load_model(settings.model, settings.pretrained)
    loaded = require_openclip(made, "vifi bench compute counts")
    head = _load_head(settings.head, settings.frames) if settings.head else None
    common = {"model": settings.model, "pretrained": loaded.name, "precision": precision}
    image = _image_row(settings, loaded, head, device, precision)
    text = _text_row(settings, loaded, device, precision)
    yield image | common
    yield text | common
    if head is not None:
        yield _head_row(settings, head) | common
    if settings.results is not None:
        record = _cost_record(settings, image, text, head)
        here = {"device": machine(settings.device)["device"], "precision": precision}
        Cost.add(settings.results, [Cost.from_dict(record | here)])


def _image_row(
    settings: Compute,
    loaded: OpenClipModel,
    head: Head | None,
    device: torch.device,
    precision: str,
) -> dict[str, object]:
    num_frames = settings.views * settings.frames
    encoder = Encoder(
        loaded,
        precision=precision,
        device=device,
        batch=num_frames,
        compiled=device.type == "cuda",
    )
    pixels = torch.randn(num_frames, 3, *loaded.image_size, device=device).to(encoder.dtype)
    pooling = head.pooling.to(device).eval() if head else _Mean()

    @torch.inference_mode()
    def call() -> None:
        ((_, embeddings),) = encoder.encode([(None, pixels)])
        pooling(embeddings.unflatten(0, (settings.views, settings.frames)))

    taken = seconds(call, settings.repeats, device)
    gmacs = image_flops(loaded) / 2e9
    return {
        "tower": "image",
        "way": "compiled" if encoder.is_compiled else "eager",
        "frames": settings.frames,
        "views": settings.views,
        "params_millions": _millions(loaded.clip.visual),
        "gmacs_per_frame": gmacs,
        "gmacs": gmacs * settings.frames,
        **taken.row(),
        "views_per_second": settings.views / taken.p50,
        "frames_per_second": num_frames / taken.p50,
        "peak_bytes": peak_bytes(call, device),
    }


def _text_row(
    settings: Compute, loaded: OpenClipModel, device: torch.device, precision: str
) -> dict[str, object]:
    text = _Text(loaded.clip).to(device, torch.bfloat16 if precision == "bf16" else torch.float32)
    context = loaded.text_side.context_length
    tokens = torch.ones(settings.classes, context, dtype=torch.long, device=device)

    @torch.inference_mode()
    def call() -> None:
        text(tokens)

    taken = seconds(call, settings.repeats, device)
    table = sum(p.numel() for name, p in text.named_parameters() if "token_embedding" in name) / 1e6
    return {
        "tower": "text",
        "way": "eager",
        "context": context,
        "classes": settings.classes,
        "params_millions": _millions(loaded.clip) - _millions(loaded.clip.visual),
        "token_table_millions": table,
        "gmacs": forward_flops(text, (1, context)) / 2e9,
        **taken.row(),
        "classes_per_second": settings.classes / taken.p50,
        "peak_bytes": peak_bytes(call, device),
    }


def _head_row(settings: Compute, head: Head) -> dict[str, object]:
    shape = head.header.pooling
    gmacs = 0.0
    if _is_learned(head):
        gmacs = forward_flops(head.pooling, (1, shape.num_frames, shape.dim)) / 2e9
    return {
        "tower": "head",
        "kind": head.header.kind,
        "frames": settings.frames,
        "params_millions": _millions(head.modules),
        "gmacs": gmacs,
    }


def _load_head(path: Path, frames: int) -> Head:
    head = load_head(path)
    num_frames = head.header.pooling.num_frames
    if _is_learned(head) and num_frames != frames:
        raise UsageError(f"{path} pools views of {num_frames} frames; give --frames {num_frames}")
    return head


def _is_learned(head: Head) -> bool:
    return any(True for _ in head.pooling.parameters())


class _Mean(nn.Module):
    """Embedding fusion."""

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return frames.mean(-2)


class _Text(nn.Module):
    """A text tower as a module of its own, which takes tokens of any dtype."""

    def __init__(self, clip: Clip) -> None:
        super().__init__()
        self.clip: Clip = clip

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.clip.encode_text(tokens.long())


def _millions(module: nn.Module) -> float:
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


def _cost_record(settings: Compute, image: dict, text: dict, head: Head | None) -> dict:
    """What the cells of Tables 6 and 9 show, and what they leave out."""
    own = _head_row(settings, head) if head else {"params_millions": 0.0, "gmacs": 0.0}
    everything = image["params_millions"] + text["params_millions"] + own["params_millions"]
    return {
        "features": settings.features,
        "model": settings.model,
        "frames": settings.frames,
        "gflops": image["gmacs"] + own["gmacs"],
        "throughput": image["views_per_second"],
        "params_millions": everything - text["token_table_millions"],
        "params_millions_with_token_table": everything,
        "text_gflops_per_class": text["gmacs"],
        "text_classes_per_second": text["classes_per_second"],
    }
