"""The folder of a model of transformers, on this disk or out of the hub: what may be read of it.

Nothing of it is run: no code of its own, no pickles. Its weights are safetensors, and no larger a
model is made than they fill.
"""

import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from vifistore.errors import ModelError, UsageError, first_line, short
from vifistore.files import read_json_object
from vifistore.models.file_kinds import (
    checkpoint_name,
    refuse_other_files,
    unreadable_safetensors,
)
from vifistore.models.hub import offline_if_unreachable, quiet
from vifistore.models.load_settings import HF_PREFIX, RANDOM

_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
_INDEX = "model.safetensors.index.json"
_WANTED = ("*.json", "*.safetensors", "*.txt", "*.model")


@dataclass(frozen=True, kw_only=True)
class HfSource:
    """What was found of an `hf:` name."""

    model: str
    """The name, of a folder with its whole path."""
    folder: Path
    taken: str
    """The folder, or the commit of the hub, or `none` for random weights."""
    name: str
    """What its checkpoint is called."""


def find_source(model: str, pretrained: str) -> HfSource:
    """Find the folder of `hf:ORG/NAME` or `hf:FOLDER`; see `load_hf` for `pretrained`.

    Raises ModelError where it cannot be had, UsageError for weights beside those of a folder.
    """
    source, is_random = model.removeprefix(HF_PREFIX), pretrained == RANDOM
    if not source:
        raise UsageError(f"{model} names no model; give hf:ORG/NAME or hf:FOLDER")
    if not is_local(source):
        folder = hub_folder(source, "" if is_random else pretrained)
        taken, name = folder.name, checkpoint_name(Path(source))
    else:
        folder = local_folder(source)
        model, taken, name = f"{HF_PREFIX}{folder}", str(folder), checkpoint_name(folder)
        if not is_random and pretrained not in ("", taken):
            raise UsageError(
                f"{short(model, 80)} has its weights with it; leave out --pretrained "
                f"{short(pretrained, 40)}"
            )
    if is_random:
        taken, name = RANDOM, "random"
    return HfSource(model=model, folder=folder, taken=taken, name=name)


def is_local(source: str) -> bool:
    """Whether what follows `hf:` is a folder on this disk and no name on the hub."""
    return os.path.isdir(os.path.expanduser(source)) or _ID.fullmatch(source) is None


def local_folder(source: str) -> Path:
    """The folder of that path. Raises ModelError where there is none."""
    folder = Path(source).expanduser().resolve()
    if not folder.is_dir():
        raise ModelError(
            f"there is no folder {short(source, 120)}; give hf:FOLDER with config.json in it, or "
            "hf:ORG/NAME of the Hugging Face hub"
        )
    return folder


def hub_folder(source: str, revision: str) -> Path:
    """The folder that the hub, or its cache, has of a name; `revision` is empty for its newest.

    Raises ModelError where it cannot be had.
    """
    from huggingface_hub import snapshot_download

    # What it raises for names that are not there, hosts that are away, and caches without it.
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    options = {"allow_patterns": list(_WANTED), "ignore_patterns": ["*/*"]}
    try:
        with quiet(), offline_if_unreachable():
            return Path(snapshot_download(source, revision=revision or None, **options))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise ModelError(
            f"hf:{short(source, 80)} is not in the cache of the Hugging Face hub and cannot be "
            f"fetched ({first_line(error, 80)}); download it on a machine with a network and give "
            "the folder: --model hf:FOLDER"
        ) from error


def read_config(folder: Path, name: str = "config.json") -> dict:
    """The fields of a JSON file of the folder. Raises ModelError for one that is not there."""
    try:
        return read_json_object(folder / name)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{name} of {short(folder, 120)} cannot be read ({first_line(error, 80)}); give a "
            "folder that transformers' save_pretrained wrote"
        ) from error


def require_fitting(folder: Path, needed: int, what: str) -> None:
    """Raise ModelError unless the folder holds safetensors of `needed` numbers or more."""
    held = sum(math.prod(shape) for file in weight_files(folder) for shape in _shapes(file))
    if held < needed:
        raise ModelError(
            f"the weights in {short(folder, 120)} are {held:,} numbers, and the {what} of its "
            f"config.json has {needed:,}; copy the folder again"
        )


def require_layers(folder: Path, config: Mapping) -> None:
    """Raise ModelError for a config.json with more layers than there are weights: one of nobody's
    would be made for ever."""
    count = sum(len(list(_shapes(file))) for file in weight_files(folder))
    for key, number in _numbers(config):
        if "layers" in key and number > count:
            raise ModelError(
                f"config.json of {short(folder, 120)} says {short(key, 40)}: {number}, and there "
                f"are {count} tensors; copy the folder again"
            )


def weight_files(folder: Path) -> list[Path]:
    """The files of weights that transformers reads. Raises ModelError where they are none of
    safetensors."""
    if (folder / _INDEX).is_file():
        named = read_config(folder, _INDEX).get("weight_map")
        names = set(named.values()) if isinstance(named, dict) else set()
        if not names or not all(isinstance(n, str) and Path(n).name == n for n in names):
            raise ModelError(f"{_INDEX} of {short(folder, 120)} names no files; copy it again")
        files = [folder / name for name in sorted(names)]
    else:
        files = [folder / "model.safetensors"]
    if not files[0].is_file() and any(folder.glob("*.bin")):
        raise UsageError(
            f"{short(folder, 120)} has its weights as pickles, which may run code and are not "
            "read; save it anew with transformers: model.save_pretrained(FOLDER)"
        )
    for file in files:
        refuse_other_files(file)
    return files


def _shapes(file: Path) -> Iterator[list[int]]:
    try:
        with safe_open(file, framework="np") as found:
            for key in found.keys():  # noqa: SIM118 - no mapping
                yield found.get_slice(key).get_shape()
    except (SafetensorError, OSError) as error:
        raise unreadable_safetensors(file, error) from error


def _numbers(config: Mapping) -> Iterator[tuple[str, int]]:
    """Whole numbers of a config and of those inside it, with their keys."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _numbers(value)
        elif type(value) is int:
            yield key, value
