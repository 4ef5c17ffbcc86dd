"""The feature sets that the checkpoints of a training run became."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vifistore.errors import UsageError, short
from vifistore.files import read_json_object
from vifistore.store.dataset import Dataset

_STEPS = "step-*.json"


@dataclass(frozen=True, kw_only=True)
class FollowedStep:
    """A checkpoint of a run that was extracted."""

    step: int
    """Of this run."""
    epoch: float
    features: str
    """Name of its feature set."""


def is_run(folder: Path) -> bool:
    """Whether `vifi train` wrote a checkpoint into this folder."""
    return folder.is_dir() and any(folder.glob(_STEPS))


def followed_steps(dataset: Dataset, folder: Path) -> list[FollowedStep]:
    """The checkpoints of a run of which a dataset has a feature set, in their order.

    Raises UsageError for a file of the run that is not what `vifi train` wrote.
    """
    names = {name.checkpoint: name.name for name in dataset.names()}
    found = [
        FollowedStep(step=step, epoch=epoch, features=names[digest])
        for step, epoch, digest in _checkpoints(folder)
        if digest in names
    ]
    return sorted(found, key=lambda followed: followed.step)


def features_of_run(dataset: Dataset, folder: Path) -> str:
    """Name of the feature set of the last checkpoint that was extracted; "" for what is no run.

    Raises UsageError where none was.
    """
    if not is_run(folder):
        return ""
    if steps := followed_steps(dataset, folder):
        return steps[-1].features
    raise UsageError(
        f"no checkpoint of {short(folder)} has features in {dataset.name}; extract them with "
        "vifi watch"
    )


def _checkpoints(folder: Path) -> Iterator[tuple[int, float, str]]:
    """Step, epoch and digest of each; averages and blends are other checkpoints."""
    for path in folder.glob(_STEPS):
        try:
            told = read_json_object(path)
            number = path.stem.removeprefix("step-")
            yield int(number), float(told.get("epoch", 0)), str(told["digest"])
        except (ValueError, TypeError, KeyError) as error:
            message = f"{short(path)} is not what vifi train wrote; remove it"
            raise UsageError(message) from error
