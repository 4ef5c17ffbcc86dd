"""Tower digests: what a tower is, whatever its file or its name. Needs no torch itself."""

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from vifistore.store.recipe import canonical_json

if TYPE_CHECKING:
    import torch

    Weights = Mapping[str, torch.Tensor | np.ndarray]

# Parts of an OpenCLIP model that belong to neither tower's weights.
_SCALES = ("logit_scale", "logit_bias")
# Modules that a system adds (`vifistore.models.system_modules`, which imports torch).
_ADDED = ("visual.added.", "added.")


def tower_digests(config: dict, state: "Weights", system: Mapping | None = None) -> tuple[str, str]:
    """Return the digests of the image and of the text tower.

    Parameters
    ----------
    config
        OpenCLIP model config: `embed_dim`, `vision_cfg`, `text_cfg`, `quick_gelu`.
    state
        State dict of the model; weights count as float32, in key order.
    system
        Whose added modules it has; it counts in the digest of a tower that has some of them.
    """
    image = {key: value for key, value in state.items() if key.startswith("visual.")}
    text = {key: value for key, value in state.items() if is_text_key(key)}
    # hashlib lets other threads run, and these are hundreds of megabytes.
    with ThreadPoolExecutor(1) as other:
        of_text = other.submit(text_digest, config, text, system)
        return _digest(config, "vision_cfg", image, system), of_text.result()


def text_digest(config: Mapping, weights: "Weights", system: Mapping | None = None) -> str:
    """Return the digest of a text tower from its weights alone (those of `is_text_key`)."""
    return _digest(config, "text_cfg", weights, system)


def is_text_key(key: str) -> bool:
    """Whether a key of a model's state dict belongs to its text tower."""
    return not key.startswith("visual.") and key not in _SCALES


def _digest(config: Mapping, tower: str, weights: "Weights", system: Mapping | None) -> str:
    architecture = {
        "embed_dim": config["embed_dim"],
        "quick_gelu": config.get("quick_gelu", False),
        tower: config[tower],
    }
    if system and any(key.startswith(_ADDED) for key in weights):
        architecture["system"] = dict(system)
    return weights_digest(architecture, weights)


def weights_digest(architecture: dict, weights: "Weights") -> str:
    """Return the digest of weights, as float32 in key order, and of what they are part of."""
    digest = hashlib.sha256(canonical_json(architecture).encode("ascii"))
    for key in sorted(weights):
        values = _float32(weights[key])
        digest.update(f"{key} {list(values.shape)} ".encode())
        digest.update(values.data)
    return digest.hexdigest()


def _float32(weight: "torch.Tensor | np.ndarray") -> np.ndarray:
    """The values of a weight, contiguous."""
    if not isinstance(weight, np.ndarray):
        weight = weight.detach().cpu().float().numpy()
    # Not ascontiguousarray, which makes a vector of a scalar.
    return np.require(weight, np.float32, "C")
