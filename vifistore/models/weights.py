"""The tensors in a file of weights, ours or of others; nothing in a file is ever run."""

import pickle
import re
import warnings
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from vifistore.errors import ModelError, short
from vifistore.models.actionclip.released_files import split_fusion
from vifistore.models.file_kinds import (
    refuse_larger,
    refuse_other_files,
    unpacked_limit,
    unreadable,
    unreadable_safetensors,
)
from vifistore.models.layouts import clip_weights
from vifistore.models.torchscript import is_torchscript, read_torchscript

# What training files hold beside the weights: settings, paths and numbers, which nobody reads.
# Kinds of dicts, then other objects.
_DICTS = (
    *("yacs.config.CfgNode", "easydict.EasyDict", "lightning.fabric.utilities.data.AttributeDict"),
    "pytorch_lightning.utilities.parsing.AttributeDict",
)
_OBJECTS = (
    *("argparse.Namespace", "pathlib.PosixPath", "pathlib._local.PosixPath"),
    *("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype"),
    *("numpy.dtypes.Float64DType", "numpy.dtypes.Float32DType", "numpy.dtypes.Int64DType"),
)


class _Ignored:
    """Stands for an object: it takes whatever it is made of, and does nothing."""

    def __new__(cls, *parts: object) -> "_Ignored":
        return super().__new__(cls)

    def __init__(self, *parts: object) -> None:
        """Take everything, keep nothing."""

    def __setstate__(self, state: object) -> None:
        """Take everything, keep nothing."""


def read_weights(
    path: Path, *, model: str = "", model_bytes: int = 0, ema: bool = False
) -> dict[str, torch.Tensor]:
    """Return the tensors [...] of the CLIP in a file, and run nothing that is in it.

    A file is .safetensors, what torch.save makes of a state dict or of a dict that holds one, or a
    TorchScript archive, of which the program is not looked at. `model_bytes`, what the weights of
    `model` take, bounds what the file may; 0 does not. `ema` and what is left out are as in
    `layouts.clip_weights`.

    Raises ModelError if the file is missing, holds no CLIP, would take more memory than it may, or
    would need to run code.
    """
    refuse_other_files(path)
    limit = unpacked_limit(model_bytes) if model_bytes else None
    if limit:
        refuse_larger(path, limit, model)
    if path.suffix == ".safetensors":
        found = _read_safetensors(path)
    elif is_torchscript(path):
        found = read_torchscript(path, limit)
    else:
        found = _read_torch(path)
    found, head = split_fusion(found)
    state = {**clip_weights(found, path, ema=ema), **head}
    _require_plain(path, state, limit)
    return state


def _require_plain(path: Path, state: dict[str, torch.Tensor], limit: int | None) -> None:
    """Raise ModelError for tensors that are no arrays of numbers, or repeat theirs without end."""
    for key, tensor in state.items():
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_complex():
            raise ModelError(
                f"{short(path.name)}: {short(key)} is no plain array of numbers; save the weights "
                "as .safetensors"
            )
    size = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if limit and size > limit:
        raise ModelError(
            f"{short(path.name)} describes {size / 2**30:,.1f} GiB of weights and does not hold "
            "them; copy it again"
        )


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise unreadable_safetensors(path, error) from error


def _read_torch(path: Path) -> object:
    stand_ins: list[Callable | tuple[Callable, str]] = [(OrderedDict, name) for name in _DICTS]
    stand_ins += [(_Ignored, name) for name in _OBJECTS]
    try:
        with torch.serialization.safe_globals(stand_ins), warnings.catch_warnings():
            # Of pickles in another protocol, which are refused where they matter.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        what = f" ({short(named[1])})" if named else ""
        raise ModelError(
            f"{short(path.name)} holds more than tensors{what} and would have to run code to be "
            "read, so it is refused; ask its maker for .safetensors"
        ) from error
    except _DAMAGE as error:
        raise unreadable(path, error) from error


# What torch raises on damaged files: errors of its own, of the file, and of a description whose
# instructions find other things than they expect, or sizes that no memory holds.
_DAMAGE = (
    *(RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError),
    *(MemoryError, ArithmeticError),
)
