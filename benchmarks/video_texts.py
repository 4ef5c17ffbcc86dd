"""Claim: X-CLIP's cosines with 400 classes cost some hundredths of encoding the view again.

    python -m benchmarks.video_texts      # a few minutes on two cores

Encodes a view of random pixels by a ViT-B/16 with X-CLIP's modules (random weights, whose values do
not change the work), and makes cosines with the classes from its embedding and patch tokens, as
`vifi texts` does from the cache, in turns. A row says what each takes of a view, and what the store
keeps of it: frames, cosines and, with --keep-tokens, patch tokens. Expected: a `ratio` of 0.1 or
less.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from vifi.bench.bench_settings import Bench
from vifi.bench.recording import script
from vifi.bench.timing import pairs
from vifistore.extract.recipes import choose_device
from vifistore.models.registry import model_config
from vifistore.models.skeletons import empty_model
from vifistore.models.system_modules import attach_added
from vifistore.models.xclip.video_prompts import XClipVideoTexts
from vifistore.models.xclip.xclip_modules import XClipSizes, XClipTower, video_prompts
from vifistore.store.feature_record import PATCH_TOKENS

CASE = ("model", "frames", "classes", "precision")


@dataclass(frozen=True, kw_only=True)
class VideoTextsCost(Bench):
    """What is encoded."""

    model: str = "ViT-B-16-quickgelu"
    """OpenCLIP model name."""
    frames: int = 16
    """Frames of a view."""
    classes: int = 400
    """Classes that it is compared with."""
    device: str = "cpu"
    """cpu, cuda, cuda:1, or auto."""
    pairs: int = 5
    """Times that each is measured, in turns."""


def run(settings: VideoTextsCost) -> Iterator[dict]:
    """One row: cosines of a view beside its encoding."""
    clip = empty_model(settings.model, model_config(settings.model))
    attach_added(clip, XClipSizes(frames=settings.frames).as_system())
    device = choose_device(settings.device)
    clip.to(device).eval().requires_grad_(False)
    for weight in clip.parameters():
        torch.nn.init.normal_(weight, std=0.02)
    tower, maker = XClipTower(clip.visual), XClipVideoTexts(video_prompts(clip)).to(device)
    size = clip.visual.image_size
    height, width = (size, size) if isinstance(size, int) else size
    pixels = torch.randn(1, settings.frames, 3, height, width, device=device)
    texts = torch.randn(settings.classes, 1, clip.visual.output_dim, device=device)
    with torch.inference_mode():
        found = tower(pixels)
        tokens = found[PATCH_TOKENS].half()

        def cosines() -> None:
            maker.cosines(found["frames"], tokens.float(), texts).cpu()

        def encoding() -> None:
            tower(pixels)["frames"].cpu()

        cosines()
        taken = pairs(cosines, encoding, settings.pairs)
    yield {
        "model": settings.model,
        "frames": settings.frames,
        "classes": settings.classes,
        "precision": "fp32",
        "pairs": settings.pairs,
        "bytes_of_frames": 2 * found["frames"].shape[-1],
        "bytes_of_cosines": 4 * settings.classes,
        "bytes_of_tokens": tokens.numel() * tokens.element_size(),
        **taken.row(),
    }


if __name__ == "__main__":
    script("video_texts", VideoTextsCost, run, CASE, __doc__)
