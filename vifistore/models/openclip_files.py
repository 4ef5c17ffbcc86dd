"""Checkpoint files as OpenCLIP reads them: `open_clip.create_model(model, pretrained=FILE)`."""

import logging
from pathlib import Path

import torch

from vifistore.errors import TextTowerError, UsageError
from vifistore.models.checkpoint_files import CheckpointHeader, save_checkpoint
from vifistore.models.openclip_model import OpenClipModel
from vifistore.models.prompt_learning import prompt_state
from vifistore.models.skeletons import MissingText
from vifistore.models.system_modules import is_added, system_of
from vifistore.temporaries import atomic_path, clear_temporaries_of

logger = logging.getLogger("vifi")


def write_openclip(path: Path, loaded: OpenClipModel) -> None:
    """Write a model to a new .safetensors or .pt file, under a temporary name first.

    OpenCLIP has no place for learned prompts, nor for what a system adds: a file with them is one
    for vifi alone. Raises UsageError where it would be a .pt, which could not say so, and
    TextTowerError for a model whose text tower cannot be made here.
    """
    if isinstance(missing := getattr(loaded.clip, "text", None), MissingText):
        raise TextTowerError(missing.why)
    state = loaded.clip.state_dict()
    system = system_of(loaded.clip)
    if prompt_state(loaded.clip):
        _tell_of_own(path, f"{loaded.name} has learned prompts")
    if any(map(is_added, state)):
        _tell_of_own(path, f"{loaded.name} has modules of {system['name']}")
    if path.suffix == ".safetensors":
        header = CheckpointHeader(
            model=loaded.model,
            config=loaded.config,
            name=loaded.name,
            step=loaded.step,
            parent=loaded.parent,
            settings=loaded.settings,
            system=system,
            digest=loaded.digest,
            identity=loaded.identity,
        )
        save_checkpoint(path, state, header)
        return
    if loaded.identity.tuned_on or system:
        logger.warning(
            "%s cannot say what %s was trained with and on; give an OUT that ends in .safetensors "
            "to keep that",
            *(path.name, loaded.name),
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_temporaries_of(path)
    # Opened here: where that fails, the error says why, and torch's own does not.
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        torch.save({"state_dict": state}, file)


def _tell_of_own(path: Path, what: str) -> None:
    """Say of what OpenCLIP has no place for that the file is for vifi alone. Raises UsageError for
    a file that could not say so."""
    if path.suffix != ".safetensors":
        raise UsageError(
            f"{what}, which OpenCLIP cannot use; give an OUT that ends in .safetensors, for vifi, "
            "or convert the checkpoint that they were trained on"
        )
    logger.warning("%s, which OpenCLIP cannot use: %s is for vifi alone", what, path.name)
