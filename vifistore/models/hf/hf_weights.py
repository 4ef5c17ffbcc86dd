"""A model of transformers with the weights of its folder, or random ones."""

import contextlib
import io
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vifistore.errors import ModelError, first_few, first_line, short
from vifistore.models import torchvision_operators
from vifistore.models.hf.architectures import Architecture
from vifistore.models.hf.hf_folder import require_fitting, require_layers
from vifistore.models.hub import quiet
from vifistore.models.load_settings import tell_random

_RANDOM_SEED = 0

logger = logging.getLogger("vifi")


def random_network(architecture: Architecture, folder: Path, model: str) -> Any:
    """The model with random weights, the same every time; a line says so."""
    tell_random(model)
    made = _class(architecture)
    with _silent(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(_RANDOM_SEED)
        return made(_config(made, folder)).float()


def read_network(architecture: Architecture, folder: Path, raw: dict) -> Any:
    """The model with the weights of its folder: every one, and no other.

    Raises ModelError for weights that do not fit `raw`, its config.json.
    """
    made = _class(architecture)
    require_layers(folder, raw)
    config = _config(made, folder)
    with _silent(), torch.device("meta"):
        needed = sum(weight.numel() for weight in made(config).state_dict().values())
    require_fitting(folder, needed, architecture.class_name)
    options = {"local_files_only": True, "use_safetensors": True, "dtype": torch.float32}
    try:
        with _silent():
            network, found = made.from_pretrained(folder, output_loading_info=True, **options)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise ModelError(
            f"the weights in {short(folder, 120)} cannot be read ({first_line(error, 120)}); copy "
            "the folder again"
        ) from error
    _require_whole(folder, found, network.state_dict())
    return network


def _require_whole(folder: Path, found: Mapping, state: Mapping[str, Tensor]) -> None:
    """Raise ModelError for weights that are missing, surplus, of another shape or not finite:
    transformers would make random ones, or leave some out."""
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if keys := sorted(map(str, found.get(what, ()))):
            raise ModelError(
                f"the weights in {short(folder, 120)} do not fit its config.json: "
                f"{what.replace('_', ' ')}: {first_few(keys, 2, 50)}; copy the folder again"
            )
    for key, weight in state.items():
        if not torch.isfinite(weight).all():
            raise ModelError(
                f"{short(key, 60)} in {short(folder, 120)} holds numbers that are not finite; copy "
                "the folder again"
            )


def _class(architecture: Architecture) -> Any:
    # Before it, transformers could not import torchvision beside a CPU build of torch.
    torchvision_operators.prepare()
    import transformers
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    return getattr(transformers, architecture.class_name)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without transformers' logging, and what it prints of its own classes among our lines."""
    with quiet(), contextlib.redirect_stdout(io.StringIO()):
        yield


def _config(made: Any, folder: Path) -> Any:
    try:
        with _silent():
            return made.config_class.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"config.json of {short(folder, 120)} cannot be taken ({first_line(error, 120)}); copy "
            "the folder again"
        ) from error
