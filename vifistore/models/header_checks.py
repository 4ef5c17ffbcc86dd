"""What a file of weights says of itself, held against the model that is asked for."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from vifistore.errors import ModelError, shell, short
from vifistore.models.checkpoint_files import CheckpointHeader
from vifistore.models.encoders import LoadedModel
from vifistore.models.foreign import ForeignWeights
from vifistore.models.registry import activation_sibling, open_clip
from vifistore.models.skeletons import is_sized

logger = logging.getLogger("vifi")

_QUICK_GELU = "quick_gelu"


def checked_header(
    model: str, config: dict, header: CheckpointHeader, path: Path
) -> CheckpointHeader:
    """A header whose claims are those of `model`; raises ModelError for any other.

    It may be of pictures of another size. Where it says that its activation was assumed, the other
    one may be asked for.
    """
    if "activation" in header.identity.assumed:
        if activation_sibling(header.model) == model:
            other = {key: value for key, value in header.config.items() if key != _QUICK_GELU}
            other |= {_QUICK_GELU: config[_QUICK_GELU]} if _QUICK_GELU in config else {}
            header = replace(header, model=model, config=other, digest="")
        _warn_of_activation(model, config, path)
    require_activation(model, config, header.config.get(_QUICK_GELU, False), short(path.name))
    if header.model != model or not is_sized(header.config, config):
        _refuse_header(model, header, path)
    return header


def _refuse_header(model: str, header: CheckpointHeader, path: Path) -> NoReturn:
    if header.model == model:
        raise ModelError(
            f"{short(path.name)} holds a {model} of another architecture than this OpenCLIP gives "
            "that name; install the one that it was trained with"
        )
    known = open_clip.get_model_config(header.model)
    if known and is_sized(header.config, known):
        raise ModelError(
            f"{short(path.name)} holds a {header.model}, not a {model}; use "
            f"{shell('--model', header.model)}"
        )
    raise ModelError(
        f"the header of {short(path.name)} calls it a {short(header.model)} and describes another; "
        "save its tensors alone"
    )


def require_digest(header: CheckpointHeader, loaded: LoadedModel, path: Path) -> None:
    """Raise ModelError for weights whose digest is another than their header says."""
    # Headers of before sigmoids were scored leave the bias out.
    if header.digest and header.digest not in (loaded.digest, loaded.softmax_digest):
        raise ModelError(
            f"the weights in {short(path.name)} are those of checkpoint {loaded.digest}, its "
            f"header is that of {header.digest:.12}; copy the file again, or if you changed them "
            "save them alone"
        )


def require_activation(model: str, config: dict, quick_gelu: bool, weights: str) -> None:
    """Raise ModelError where weights and config differ in the activation.

    Nothing in the weights shows it, and the wrong one costs several points of accuracy.
    """
    if config.get(_QUICK_GELU, False) == quick_gelu:
        return
    base = model.removesuffix("-quickgelu")
    right = f"{base}-quickgelu" if quick_gelu else base
    trained = "QuickGELU" if quick_gelu else "GELU"
    hint = f"; use {shell('--model', right)}" if open_clip.get_model_config(right) else ""
    raise ModelError(f"{weights} were trained with {trained}, which {model} does not use{hint}")


def check_activation(model: str, config: dict, foreign: ForeignWeights, path: Path) -> None:
    """Refuse the wrong activation where that is known, else say which one is assumed."""
    if foreign.quick_gelu is None:
        _warn_of_activation(model, config, path)
    else:
        told = f"{foreign.maker}'s weights in {short(path.name)}"
        require_activation(model, config, foreign.quick_gelu, told)


def _warn_of_activation(model: str, config: dict, path: Path) -> None:
    """Say which activation is assumed for a file that does not tell, where both are in use."""
    if sibling := activation_sibling(model):
        used = "QuickGELU" if config.get(_QUICK_GELU, False) else "GELU"
        logger.warning(
            "%s does not say which activation it was trained with; %s uses %s, use %s if "
            "that is wrong (OpenAI's and ViFi-CLIP's weights want QuickGELU)",
            short(path.name),
            model,
            used,
            shell("--model", sibling),
        )
