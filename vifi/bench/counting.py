"""Parameters and multiply-accumulates of a model, part by part; nothing is computed.

image   the image tower, which sees frames one by one
text    the text tower
added   what a system of training adds to both (X-CLIP, ActionCLIP)
head    what `vifi train-head` adds (A5)
"""

import logging
from collections.abc import Mapping

import torch
from torch import nn

from vifi.bench.arithmetic import forward_flops
from vifistore.errors import UsageError
from vifistore.models.encoders import CLIP
from vifistore.models.openclip_model import OpenClipModel
from vifistore.models.openclip_parts import Clip
from vifistore.models.system_modules import system_of
from vifistore.training.heads.head_files import Head

logger = logging.getLogger("vifi")

Counts = dict[str, object]


def image_counts(loaded: OpenClipModel, frames: int) -> Counts:
    """Of views of so many frames."""
    visual = loaded.clip.visual
    gmacs = _gmacs(visual, (1, 3, *loaded.image_size))
    return {
        "tower": "image",
        "frames": frames,
        "params_millions": millions(visual) - _added_millions(visual),
        "gmacs_per_frame": gmacs,
        "gmacs": gmacs * frames,
    }


def text_counts(loaded: OpenClipModel) -> Counts:
    """Of one class; its table of tokens apart, too."""
    clip, context = loaded.clip, loaded.text_side.context_length
    image = millions(clip.visual)
    tables = [p.numel() for name, p in clip.named_parameters() if "token_embedding" in name]
    return {
        "tower": "text",
        "context": context,
        "params_millions": millions(clip) - image - _added_millions(clip),
        "token_table_millions": sum(tables) / 1e6,
        "gmacs": forward_flops(TokensToTexts(clip), (1, context)) / 2e9,
    }


def added_counts(loaded: OpenClipModel, frames: int, classes: int) -> Counts:
    """Of the modules of a system; empty for a CLIP as it is.

    Texts that follow a view count with it, of so many classes. Raises UsageError for a model that
    sees another number of frames.
    """
    system = system_of(loaded.clip)
    if not system:
        return {}
    if loaded.num_frames not in (0, frames):
        told = f"{loaded.name} sees views of {loaded.num_frames} frames"
        raise UsageError(f"{told}; give --frames {loaded.num_frames}")
    gmacs = 0.0
    if loaded.kind == CLIP:
        whole = _gmacs(loaded.image_tower, (1, frames, 3, *loaded.image_size))
        gmacs = whole - frames * _gmacs(loaded.clip.visual, (1, 3, *loaded.image_size))
    if loaded.texts_depend_on_video:
        # All positions but that of the class token.
        tokens = len(loaded.clip.visual.positional_embedding) - 1
        gmacs += _gmacs(loaded.clip.added, (classes, loaded.dim), (1, tokens, loaded.dim))
    return {
        "tower": "added",
        "kind": system["name"],
        "frames": frames,
        "params_millions": _added_millions(loaded.clip.visual) + _added_millions(loaded.clip),
        "gmacs": gmacs,
    }


def head_counts(head: Head, frames: int) -> Counts:
    """Of a head. Raises UsageError for one that pools another number of frames."""
    shape, gmacs = head.header.pooling, 0.0
    if any(True for _ in head.pooling.parameters()):
        if shape.num_frames != frames:
            told = f"the head pools views of {shape.num_frames} frames"
            raise UsageError(f"{told}; give --frames {shape.num_frames}")
        gmacs = forward_flops(head.pooling, (1, shape.num_frames, shape.dim)) / 2e9
    return {
        "tower": "head",
        "kind": head.header.kind,
        "frames": frames,
        "params_millions": millions(head.modules),
        "gmacs": gmacs,
    }


def cost_counts(image: Mapping, text: Mapping, added: Mapping) -> Counts:
    """What the cells of Tables 6 and 9 show, and what they leave out.

    `added` are the counts of a system's modules or of a head, or nothing. The paper counts of
    ActionCLIP every parameter, of X-CLIP those that it trains, which leaves the text tower out, and
    of ViFi-CLIP all but the table of tokens.
    """
    everything = image["params_millions"] + text["params_millions"]
    everything += added.get("params_millions", 0.0)
    left_out = {"actionclip": 0.0, "x-clip": text["params_millions"]}
    uncounted = left_out.get(added.get("kind", ""), text["token_table_millions"])
    return {
        "gflops": image["gmacs"] + added.get("gmacs", 0.0),
        "params_millions": everything - uncounted,
        "params_millions_with_token_table": everything,
        "text_gflops_per_class": text["gmacs"],
    }


class TokensToTexts(nn.Module):
    """A text tower as a module of its own, which takes tokens of any dtype."""

    def __init__(self, clip: Clip) -> None:
        super().__init__()
        self.clip: Clip = clip

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens `[text token]` -> embeddings `[text dim]`."""
        return self.clip.encode_text(tokens.long())


def millions(module: nn.Module) -> float:
    """10^6 parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


def _added_millions(module: nn.Module) -> float:
    """10^6 parameters of what a system added to one side of a model."""
    added = getattr(module, "added", None)
    return millions(added) if isinstance(added, nn.Module) else 0.0


def _gmacs(module: nn.Module, *shapes: tuple[int, ...]) -> float:
    """10^9 multiply-accumulates; 0 for operations that need data, not only shapes: those cannot be
    counted."""
    try:
        return forward_flops(module, *shapes) / 2e9
    except RuntimeError as error:
        logger.info("arithmetic is not counted: %s", str(error).split("\n")[0])
        return 0.0
