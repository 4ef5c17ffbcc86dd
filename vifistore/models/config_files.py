"""Configs of OpenCLIP's models as they lie on the disk: importing OpenCLIP takes seconds.

What a call gets wrong can so be told at once. Models of other places (`hf-hub:`,
`module:function`) are not known here; nothing is said of them.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from vifistore.errors import Faults, ModelError, UnknownNameError, UsageError, short
from vifistore.files import read_json_object
from vifistore.models.plugins.plugin_names import plugin_names

# Endings of files of weights.
WEIGHTS_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".pyth")


def find_config(model: str) -> dict | None:
    """The config of a model; None for one that is not known here."""
    path = _files().get(model)
    return None if path is None else read_json_object(path)


def model_faults(found: Faults, model: str, pretrained: str) -> None:
    """Note a model that does not exist, and weights that are not named, or a file which is not
    there."""
    # Where OpenCLIP is there already, it may have been given further ones.
    open_clip = sys.modules.get("open_clip")
    known = {*_files(), *(open_clip.list_models() if open_clip else ())}
    is_elsewhere = ":" in model or (model not in known and model in plugin_names())
    if model not in known and not is_elsewhere:
        found.add(UnknownNameError("model", model, [*known, *plugin_names()]))
    if not pretrained and not is_elsewhere:
        told = f"{short(model, 80)} comes without weights; name them with --pretrained: a tag such "
        found.add(UsageError(told + "as openai, a file, or none for random ones"))
    if Path(pretrained).suffix in WEIGHTS_SUFFIXES and not os.path.exists(pretrained):
        told = f"there are no weights at {short(pretrained, 120)}; give an existing file"
        found.add(ModelError(told))


def _files() -> dict[str, Path]:
    """File of every config by the name of its model, ours included."""
    places = [Path(__file__).parent / "configs"]
    spec = find_spec("open_clip")
    if spec is not None and spec.submodule_search_locations:
        places += [Path(place, "model_configs") for place in spec.submodule_search_locations]
    return {path.stem: path for place in places for path in sorted(place.glob("*.json"))}
