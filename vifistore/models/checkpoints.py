"""Checkpoint files: safetensors weights with a JSON header that says what they are."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from vifistore.errors import ModelError

_HEADER_KEY = "vifistore"


@dataclass(frozen=True, kw_only=True)
class CheckpointHeader:
    """What a checkpoint file says of itself."""

    model: str
    """OpenCLIP model name."""
    config: dict
    """OpenCLIP model config in full."""
    name: str
    """Name of the checkpoint."""
    step: int
    """Optimiser updates made."""
    parent: str
    """Digest of the checkpoint it was trained from; empty if from scratch."""
    settings: dict
    """How it was trained."""


def save_checkpoint(path: Path, state: dict[str, torch.Tensor], header: CheckpointHeader) -> None:
    """Write weights and header to `path`, under a temporary name first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    # safetensors refuses tensors that share memory or have gaps.
    weights = {key: value.detach().cpu().contiguous().clone() for key, value in state.items()}
    save_file(weights, temporary, metadata={"format": "pt", _HEADER_KEY: json.dumps(vars(header))})
    os.replace(temporary, path)


def read_header(path: Path) -> CheckpointHeader | None:
    """Return what a file says of itself, or None if it is not one of ours.

    Raises ModelError if the file or its header cannot be read.
    """
    if path.suffix != ".safetensors":
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is not a readable safetensors file ({error})") from error
    text = metadata.get(_HEADER_KEY)
    if not text:
        return None
    try:
        return CheckpointHeader(**json.loads(text))
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{path} has a header that cannot be read ({error}); convert the file again, or save "
            "its tensors alone"
        ) from error


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the state dict in a file: .safetensors, or a .pt that holds tensors alone.

    Raises ModelError if the file is missing, or would need to run code to be read.
    """
    if not path.is_file():
        raise ModelError(f"there are no weights at {path}; give an existing file")
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ModelError(
            f"{path} cannot be read as plain tensors ({str(error).splitlines()[0]}); "
            "convert it to safetensors"
        ) from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(torch.is_tensor(v) for v in state.values()):
        raise ModelError(f"{path} holds no state dict; convert it to safetensors")
    return {key.removeprefix("module."): value for key, value in state.items()}
