"""A small encoder that sees the frames of a view together, for tests."""

from dataclasses import dataclass, field

import numpy as np
import torch

from vifistore.models.encoders import CLIP, LoadedModel, TextSide
from vifistore.store.feature_record import FurtherArray
from vifistore.store.identity import Identity

SIZE, DIM, NUM_FRAMES, NUM_OUTPUTS = 16, 5, 4, 2
PATCHES = {"patches": FurtherArray(dtype="float16", axes=("patch", "colour"), lengths=(4, 3))}


class Tower(torch.nn.Module):
    """Brightness and change of colours, weighted: what frames lie where matters."""

    def __init__(self, num_outputs: int = NUM_OUTPUTS, has_patches: bool = True) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        weights = torch.randn(num_outputs, NUM_FRAMES, 3, DIM, generator=generator)
        self.weights = torch.nn.Parameter(weights)
        self.has_patches = has_patches

    def forward(self, pixels):
        """[batch frame 3 height width] -> [batch output dim], and four patches of the middle."""
        colours = pixels.mean((3, 4))
        frames = torch.einsum("btc,otcd->bod", colours, self.weights.to(pixels.dtype))
        if not self.has_patches:
            return frames[:, 0]
        quarters = pixels[:, NUM_FRAMES // 2].unfold(2, 8, 8).unfold(3, 8, 8).mean((4, 5))
        return {"frames": frames, "patches": quarters.flatten(2).transpose(1, 2)}


class Letters(TextSide):
    """Texts by their letters."""

    def encode(self, texts):
        counts = [[text.count(letter) + 0.5 for letter in "aeiou"] for text in texts]
        return np.array(counts, np.float32)


@dataclass(kw_only=True, repr=False)
class ClipModel(LoadedModel):
    """That tower, with its texts."""

    tower: Tower = field(default_factory=Tower)

    image_tower = property(lambda self: self.tower)
    text_side = property(lambda self: Letters())
    preprocess_config = property(lambda self: _PIXELS)

    def to(self, device):
        """Move it."""
        self.tower.to(device)


_PIXELS = {
    "size": SIZE,
    "mean": (0.5, 0.5, 0.5),
    "std": (0.25, 0.25, 0.25),
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}


def clip_model(**options) -> ClipModel:
    """The encoder; `options` are its fields."""
    fields = {
        "model": "tests:clip",
        "config": {"embed_dim": DIM},
        "name": "first",
        "image_digest": "c" * 64,
        "text_digest": "d" * 64,
        "logit_scale": 10.0,
        "weights_path": "first",
        "parent": "",
        "step": 0,
        "settings": {},
        "identity": Identity(preprocessing={"family": "openclip", **_PIXELS}),
        "preprocessing_from": "a test",
        "kind": CLIP,
        "num_frames": NUM_FRAMES,
        "num_outputs": NUM_OUTPUTS,
        "further": PATCHES,
    }
    return ClipModel(**(fields | options))


def single_model(**options) -> ClipModel:
    """One that gives an embedding of a view, and nothing beside it."""
    tower = Tower(num_outputs=1, has_patches=False)
    return clip_model(tower=tower, num_outputs=1, further={}, image_digest="e" * 64, **options)
