"""Weights that others made, under OpenCLIP's names: OpenAI's, transformers', ViFi-CLIP's, X-CLIP's.

OpenAI's archives use OpenCLIP's names and carry three numbers beside the weights. ViFi-CLIP's files
(github.com/muzairkhattak/ViFi-CLIP, trainers/vificlip.py) call the towers `image_encoder` and
`text_encoder`, hold no token embedding, since that stays OpenAI's, and hold prompts layer by layer.
Both were trained with QuickGELU, which nothing in them shows. Those of transformers are in
`vifistore.models.huggingface`.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from vifistore.models.actionclip.action_clip import system_in
from vifistore.models.actionclip.released_files import MEAN_KEY
from vifistore.models.huggingface import from_hugging_face, is_hugging_face, quick_gelu_beside
from vifistore.models.prompt_learning import IMAGE_KEY, TEXT_KEY
from vifistore.models.xclip.released_xclip import read_xclip
from vifistore.models.xclip.xclip_names import is_xclip

Maker = Literal["OpenCLIP", "OpenAI", "ViFi-CLIP", "ActionCLIP", "X-CLIP", "Hugging Face"]

TOKEN_EMBEDDING = "token_embedding.weight"

_OPENAI_NUMBERS = {"input_resolution", "context_length", "vocab_size"}
# A constant of the text tower that traced archives and old files keep.
_MASK = re.compile(r"(^|\.)attn_mask$")

# Made from the class names of the training set, or from the token embedding.
_VIFI_BUFFERS = {
    "prompt_learner.complete_text_embeddings",
    "prompt_learner.token_prefix",
    "prompt_learner.token_suffix",
}
_VIFI_FIRST_PROMPTS = {"image_encoder.VPT": IMAGE_KEY, "prompt_learner.ctx": TEXT_KEY}
_VIFI_LATER_PROMPTS = re.compile(
    r"(image|text)_encoder\.transformer\.resblocks\.(\d+)\.VPT_shallow"
)


@dataclass(frozen=True, kw_only=True)
class ForeignWeights:
    """Weights under OpenCLIP's names, and whose they are."""

    maker: Maker
    state: dict[str, Tensor]
    quick_gelu: bool | None = None
    """Whether they were trained with QuickGELU; None where nothing tells."""
    system: dict = field(default_factory=dict)
    """Whose added modules are among them, with their sizes, where the maker tells."""


def with_openclip_names(state: dict[str, Tensor], path: Path) -> ForeignWeights:
    """Return weights, each a tensor [...], under OpenCLIP's names; what is not known keeps its own.

    `path` is their file, beside which transformers keeps its config.
    """
    state = {key: value for key, value in state.items() if not _MASK.search(key)}
    if any(key.startswith(("image_encoder.", "text_encoder.")) for key in state):
        return ForeignWeights(maker="ViFi-CLIP", state=_from_vifi(state), quick_gelu=True)
    if is_xclip(state):
        return ForeignWeights(maker="X-CLIP", **vars(read_xclip(state, path)))
    if is_hugging_face(state):
        return ForeignWeights(
            maker="Hugging Face",
            state=from_hugging_face(state),
            quick_gelu=quick_gelu_beside(path),
        )
    if state.keys() >= _OPENAI_NUMBERS:
        plain = {key: value for key, value in state.items() if key not in _OPENAI_NUMBERS}
        return ForeignWeights(maker="OpenAI", state=plain, quick_gelu=True)
    if system := system_in(state):
        plain = {key: value for key, value in state.items() if key != MEAN_KEY}
        return ForeignWeights(maker="ActionCLIP", state=plain, quick_gelu=True, system=system)
    return ForeignWeights(maker="OpenCLIP", state=state)


def _from_vifi(state: dict[str, Tensor]) -> dict[str, Tensor]:
    renamed: dict[str, Tensor] = {}
    layers: dict[str, dict[int, Tensor]] = {IMAGE_KEY: {}, TEXT_KEY: {}}
    for key, value in state.items():
        if key in _VIFI_BUFFERS:
            continue
        if key in _VIFI_FIRST_PROMPTS:
            layers[_VIFI_FIRST_PROMPTS[key]][0] = value
        elif match := _VIFI_LATER_PROMPTS.fullmatch(key):
            layers[IMAGE_KEY if match[1] == "image" else TEXT_KEY][int(match[2])] = value
        else:
            renamed[_openclip_name(key)] = value
    for key, of_layer in layers.items():
        # Prompts begin at the first block and leave none out; else they stay a surplus.
        if of_layer and set(of_layer) == set(range(len(of_layer))):
            renamed[key] = torch.stack([of_layer[layer].float() for layer in sorted(of_layer)])
        else:
            renamed |= {f"{key}.{layer}": value for layer, value in of_layer.items()}
    return renamed


def _openclip_name(key: str) -> str:
    if key.startswith("image_encoder."):
        return f"visual.{key.removeprefix('image_encoder.')}"
    return key.removeprefix("text_encoder.")
