"""Checkpoint files: safetensors weights with a JSON header that says what they are."""

import json
import os
import pickle
import re
import struct
import warnings
import zipfile
from collections import OrderedDict
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from vifistore.errors import ModelError
from vifistore.models.torchscript import is_torchscript, read_torchscript
from vifistore.store.durable import put_stages

_HEADER_KEY = "vifistore"

# Where files keep the state dict among other things, and what wrappers call the model in it.
_STATE_KEYS = ("state_dict", "model")
_WRAPPERS = ("module.", "model.")

# Length of the JSON that a safetensors file begins with.
_LENGTH = struct.Struct("<Q")


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
    """Write weights and header to `path`; the file is on the disk before it has its name."""
    # safetensors refuses tensors that share memory or have gaps.
    weights = {key: value.detach().cpu().contiguous().clone() for key, value in state.items()}
    metadata = {"format": "pt", _HEADER_KEY: json.dumps(vars(header))}
    put_stages([{path: [save(weights, metadata)]}])


def is_whole(path: Path) -> bool:
    """Whether a file ends where it says it does; one that is half copied does not.

    False also for a file that cannot say, which is neither safetensors nor torch's zip.
    """
    try:
        if path.suffix != ".safetensors":
            return zipfile.is_zipfile(path)
        with path.open("rb") as file:
            (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
            size = os.fstat(file.fileno()).st_size
            if _LENGTH.size + length > size:
                return False
            tensors = json.loads(file.read(length))
        ends = [entry["data_offsets"][1] for key, entry in tensors.items() if key[0] != "_"]
        return _LENGTH.size + length + max(ends, default=0) == size
    except (OSError, ValueError, struct.error, LookupError, TypeError, AttributeError):
        return False


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
        raise ModelError(
            f"{path} is not a readable safetensors file ({error}); copy it again"
        ) from error
    text = metadata.get(_HEADER_KEY)
    if not text:
        return None
    try:
        header = CheckpointHeader(**json.loads(text))
        _check_types(header)
        return header
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{path} has a header that cannot be read ({error}); convert the file again, or save "
            "its tensors alone"
        ) from error


def _check_types(header: CheckpointHeader) -> None:
    """Raise TypeError for a field that is not what it should be: files come from others, too."""
    for field in fields(header):
        value = getattr(header, field.name)
        if type(value) is not field.type:
            raise TypeError(f"{field.name} is {value!r:.60}, not {field.type.__name__}")


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors in a file, and run nothing that is in it.

    A file is .safetensors, what torch.save makes of a state dict or of a dict that holds one as
    `state_dict` or `model`, or a TorchScript archive, of which the program is not looked at.
    Prefixes that wrappers put in front of every name are taken off.

    Raises ModelError if the file is missing, holds no state dict, or would need to run code.
    """
    if not path.is_file():
        raise ModelError(f"there are no weights at {path}; give an existing file")
    if path.suffix == ".safetensors":
        return _without_wrappers(_read_safetensors(path))
    if is_torchscript(path):
        return _without_wrappers(read_torchscript(path))
    found = _read_torch(path)
    for key in _STATE_KEYS:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
            break
    if not isinstance(found, dict) or not all(torch.is_tensor(v) for v in found.values()):
        raise ModelError(
            f"{path} holds no state dict, alone or as one of {', '.join(_STATE_KEYS)}; save one"
        )
    return _without_wrappers(found)


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{path} is not a readable safetensors file ({error}); copy it again"
        ) from error


def _read_torch(path: Path) -> object:
    # ViFi-CLIP's files hold their settings beside the weights, in a kind of dict.
    stand_ins = [(OrderedDict, "yacs.config.CfgNode")]
    try:
        with torch.serialization.safe_globals(stand_ins), warnings.catch_warnings():
            # Of pickles in another protocol, which are refused where they matter.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        what = f" ({named[1]})" if named else ""
        raise ModelError(
            f"{path} holds more than tensors{what} and would have to run code to be read, so it is "
            "refused; ask its maker for .safetensors"
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError) as error:
        # Of a LookupError the text alone says nothing.
        reason = ": ".join([type(error).__name__, *str(error).splitlines()[:1]])
        raise ModelError(f"{path} cannot be read as weights ({reason}); copy it again") from error


def _without_wrappers(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    for prefix in _WRAPPERS * 2:
        if state and all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state
