"""`vifi train-head S`: train a pooling on cached frames, or apply a trained one."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from harness.scoring import checkpoint_of
from vifi.command_line.choices import choose_features
from vifi.command_line.command_log import remember_command
from vifi.command_line.console import parse, print_json, say
from vifi.command_line.shared_arguments import PrintArguments, StoreArguments
from vifistore.errors import Faults
from vifistore.store import open_store
from vifistore.store.features import Features
from vifistore.store.names import check_set_name
from vifistore.training.faults import require_alone
from vifistore.training.heads.head_settings import HeadKind, HeadSettings

logger = logging.getLogger("vifi")

_NUM_SAID = 10


@dataclass(frozen=True, kw_only=True)
class TrainHeadArguments(PrintArguments, StoreArguments):
    """Train a pooling on cached frames and pool every video of a dataset with it.

    It needs no videos. The result is a feature set that evaluate, ablate and search take by name.
    """

    dataset: str
    """Dataset whose frames are pooled."""
    features: str = ""
    """Name or id of a feature set with frames. Default: the dataset's only one."""
    split: str = ""
    """Split of the training videos."""
    head: HeadKind | None = None
    """a5: transformer over time and text prompts; a6: the same at its program's own defaults, two
    blocks and ten times the rate; actionclip-transf: transformer over time;
    actionclip-mean: the mean, nothing to train."""
    apply: Path | None = None
    """File of a trained head: train nothing, pool with that."""
    settings: HeadSettings = field(default_factory=HeadSettings)
    name: str = ""
    """Name of the new feature set. Default: the old one's with the head's."""
    out: Path | None = None
    """File of the trained head. Default: in heads/, under the new feature set's name."""
    device: str = "auto"
    """cpu, cuda, cuda:1, or auto."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    found = Faults()
    wanted = parse("train-head", TrainHeadArguments, arguments, faults=found)
    _note(found, wanted)
    found.attempt(require_alone)
    found.refuse()
    store = open_store(wanted.store, mode="a")
    dataset = store.dataset(wanted.dataset)
    (features,) = choose_features(dataset, [wanted.features] if wanted.features else [])
    checkpoint = checkpoint_of(features)
    # What can be refused is refused before torch and OpenCLIP are imported, which takes seconds.
    features.require_sealed()
    found.attempt(features.require_array, "frames")
    if wanted.split:
        found.attempt(features.dataset.split, wanted.split)
    found.refuse()
    report = _run(wanted, features, checkpoint)
    remember_command(features.store)
    if wanted.json:
        print_json(vars(report))
        return 0
    if report.accuracy is not None:
        num_classes = len(features.dataset.split(wanted.split).class_names)
        say(
            f"{report.steps} steps, loss {report.loss:.3f}, top-1 on the training videos "
            f"{100 * report.accuracy:.1f} ({num_classes} classes)"
        )
    say(f"{report.name} ({report.features}): sealed; head in {report.head}")
    return 0


def _note(found: Faults, wanted: TrainHeadArguments) -> None:
    """Note what is wrong unless it is either training or applying, with all that takes."""
    if wanted.name:
        found.attempt(check_set_name, wanted.name)
    if wanted.apply is None:
        for flag in ("head", "split"):
            told = f"--{flag} is missing; give it, or a trained head with --apply"
            found.check(bool(getattr(wanted, flag)), told)
        if wanted.head:
            with found.gathered():
                wanted.settings.of(wanted.head)
        return
    given = [flag for flag in ("head", "split", "out") if getattr(wanted, flag)]
    if wanted.settings != HeadSettings():
        given.append("settings of training")
    found.check(not given, f"--apply trains nothing; leave out {', '.join(given)}")


def _run(wanted: TrainHeadArguments, features: Features, checkpoint: dict):
    from vifistore.training.heads.head_job import apply_head, train_head

    if wanted.apply is not None:
        return apply_head(
            features, checkpoint, wanted.apply, name=wanted.name, device=wanted.device
        )
    return train_head(
        features,
        checkpoint,
        wanted.split,
        cast(HeadKind, wanted.head),  # it is refused where there is neither it nor --apply
        wanted.settings,
        name=wanted.name,
        out=wanted.out,
        device=wanted.device,
        after_epoch=_say_now_and_then,
    )


def _say_now_and_then(progress) -> None:
    """Log about ten epochs of a run."""
    every = max(1, progress.epochs // _NUM_SAID)
    if progress.epoch % every == 0 or progress.epoch == progress.epochs:
        logger.info(
            "epoch %d of %d: loss %.3f, top-1 on the training videos %.1f",
            progress.epoch,
            progress.epochs,
            progress.loss,
            100 * progress.accuracy,
        )
