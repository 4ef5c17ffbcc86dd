"""What `vifi evaluate` can be told, and what of it a protocol has no use for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from vifistore.errors import UsageError

Repeated = tyro.conf.UseAppendAction[tuple[str, ...]]

# Flags beyond those that every protocol takes.
_USED = {
    "base-to-novel": ("base_split", "novel_split", "train_split"),
    "few-shot": ("train_split", "classifier", "shots", "draws"),
    "supervised": ("train_split", "classifier"),
}


@dataclass(frozen=True, kw_only=True)
class EvaluateArguments:
    """Score cached features by one of the paper's protocols.

    Quarantined videos are left out and counted in every row; the exit code is 0 with them too.
    """

    store: tyro.conf.Positional[str]
    """Path of the store, or its URL: s3://bucket/S.zarr."""
    protocol: tyro.conf.Positional[
        Literal["zero-shot", "base-to-novel", "few-shot", "supervised", "retrieval"]
    ]
    """How the number is computed; retrieval by captions and class names, whichever there are."""
    dataset: str
    """Dataset to score."""
    features: tuple[str, ...] = ()
    """Names or ids of feature sets, each scored by itself; base-to-novel takes one per seed, and
    gives their mean as well."""
    split: tuple[str, ...] = ()
    """Split to score; several give their mean as well. `all`: every labelled video, which is the
    default where the dataset has no splits."""
    fusion: tuple[str, ...] = ()
    """Where frames are merged: embedding (default), decision, image, max, top-K (as top-4),
    attention."""
    template: Repeated = ()
    """Prompt of a class name, {} standing for it, or a named set (paper, bare, kinetics,
    actionclip); several are averaged. Encoded if the store lacks them."""
    against: tuple[str, ...] = ()
    """Feature set to compare with on the same videos, by a paired bootstrap; one for all of
    --features, or one for each."""
    train_split: str = ""
    """Split to train a classifier on (few-shot, supervised); split whose videos are counted per
    class (base-to-novel, default: every labelled video)."""
    classifier: Literal["text", "linear-probe", "prototype", "tip-adapter"] = "text"
    """What scores (few-shot, supervised): class names (text), for a checkpoint that was tuned on
    videos of these classes, or a classifier trained here on cached embeddings."""
    shots: tuple[int, ...] = ()
    """Videos per class to draw, or with the classifier text those that the checkpoint was tuned on,
    which is the default where it says so (few-shot)."""
    draws: int = 1
    """Random draws per number of shots (few-shot)."""
    base_split: str = "base_val"
    """Test videos of the base classes (base-to-novel)."""
    novel_split: str = "novel_val"
    """Test videos of the novel classes (base-to-novel)."""
    partial: bool = False
    """Score a feature set that is not complete; rows say how many videos they cover."""
    results: Path | None = None
    """Folder to append the rows to; also gets tables of classes and of mistakes."""
    json: bool = False
    """Print one JSON document."""


def refuse_unused(wanted: EvaluateArguments) -> None:
    """Raise UsageError for a flag that the protocol would ignore, or a number it cannot take."""
    for field in ("base_split", "novel_split", "train_split", "classifier", "shots", "draws"):
        default = EvaluateArguments.__dataclass_fields__[field].default
        if getattr(wanted, field) != default and field not in _USED.get(wanted.protocol, ()):
            flag = field.replace("_", "-")
            raise UsageError(f"--{flag} has no meaning for {wanted.protocol}; leave it out")
    most = {"zero-shot": len(wanted.split), "base-to-novel": 0}.get(wanted.protocol, 1)
    if len(wanted.split) > most:
        raise UsageError(
            f"{wanted.protocol} takes {'no --split' if most == 0 else 'one split'}, not "
            f"{', '.join(wanted.split)}"
        )
    if wanted.against and wanted.protocol == "retrieval":
        raise UsageError("--against has no meaning for retrieval; leave it out")
    if len(wanted.against) not in (0, 1, len(wanted.features)):
        raise UsageError(
            f"--against names {len(wanted.against)} feature sets and --features "
            f"{len(wanted.features)}; give one for all, or one for each"
        )
    _check_training(wanted)


def _check_training(wanted: EvaluateArguments) -> None:
    """Raise UsageError for flags of training videos and classifiers that do not go together."""
    if wanted.draws < 1 or any(shots < 1 for shots in wanted.shots):
        raise UsageError("--shots and --draws must be 1 or more")
    if wanted.draws > 1 and (wanted.classifier == "text" or not wanted.shots):
        raise UsageError("--draws needs --shots, and a --classifier that is trained on them")
    if wanted.protocol == "base-to-novel" and wanted.train_split and wanted.results is None:
        raise UsageError("--train-split only counts videos for a figure here; give --results too")
    if wanted.template and wanted.classifier in ("linear-probe", "prototype"):
        raise UsageError(f"--template has no meaning for {wanted.classifier}; leave it out")
