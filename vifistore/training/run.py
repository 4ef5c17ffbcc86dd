"""From a loaded model to the checkpoint that training makes of it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from vifistore.models.checkpoints import CheckpointHeader, save_checkpoint
from vifistore.models.text import tokenizer
from vifistore.models.towers import LoadedModel
from vifistore.training.data import FrameData
from vifistore.training.engine import Progress, fit, ignore
from vifistore.training.settings import TrainSettings


def train_checkpoint(
    start: LoadedModel,
    data: FrameData,
    class_names: Sequence[str],
    settings: TrainSettings,
    *,
    name: str,
    parent: str,
    path: Path,
    after_epoch: Callable[[Progress], None] = ignore,
) -> CheckpointHeader:
    """Train a model in place, save it at `path` (.safetensors) and return what the file says.

    Parameters
    ----------
    start
        The model; its weights change.
    data
        Videos; targets are in the order of `class_names`.
    name
        Name of the new checkpoint.
    parent
        Digest of the checkpoint that `start` is; empty for random weights.
    after_epoch
        Called after every epoch.
    """
    tokens = tokenizer(start)([settings.template.format(label) for label in class_names])
    num_steps = fit(start.clip, data, tokens, settings, after_epoch=after_epoch)
    header = CheckpointHeader(
        model=start.model,
        config=start.config,
        name=name,
        step=start.step + num_steps,
        parent=parent,
        settings=asdict(settings),
    )
    save_checkpoint(path, start.clip.state_dict(), header)
    return header
