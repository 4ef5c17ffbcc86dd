"""Which videos a map shows, and their vectors under every feature set."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from harness.split_checks import check_same_videos
from harness.vector_reading import done_rows, video_vectors
from vifistore.errors import IncompleteError, UnknownNameError, UsageError
from vifistore.store.dataset import Dataset
from vifistore.store.features import Features

MIN_VIDEOS = 5
UNLABELLED = -1


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which videos of a dataset are shown."""

    split: str = ""
    """Split to show. Default: every video, also those without a label."""
    num_classes: int = 0
    """Show so many classes, drawn by `seed`; 0 shows all of them and the unlabelled videos."""
    classes: tuple[str, ...] = ()
    """Show these classes."""
    seed: int = 0
    """Seed of the draw of classes."""
    partial: bool = False
    """Show what a feature set that is not sealed holds."""

    def __post_init__(self) -> None:
        if self.num_classes < 0:
            raise UsageError(f"{self.num_classes} classes cannot be shown; give 1 or more")
        if self.seed < 0:
            raise UsageError(f"seed is {self.seed}; give 0 or more")
        if self.num_classes and self.classes:
            raise UsageError("a number of classes and their names exclude each other; give one")


@dataclass(frozen=True, kw_only=True)
class Panels:
    """The same videos under one or more feature sets."""

    dataset: Dataset
    rows: np.ndarray
    """int64 [video]: rows of the dataset, ascending."""
    labels: np.ndarray
    """int64 [video]: indexes into `class_names`, UNLABELLED where there is no label."""
    class_names: list[str]
    vectors: dict[str, np.ndarray]
    """Feature set, as it was asked for -> float32 [video dim] of unit length: the mean over views
    of `view_mean`, normalised."""

    @property
    def is_labelled(self) -> np.ndarray:
        """bool [video]."""
        return self.labels != UNLABELLED


def load_panels(features: Sequence[Features], choice: Choice | None = None) -> Panels:
    """The chosen videos that all of `features` hold, once each, in the order of the dataset.

    Raises UsageError for fewer than 5 videos and sets of other videos, UnknownNameError for what
    does not exist, IncompleteError for a feature set that is not sealed unless `partial`,
    DamagedError for embeddings that are zero or not finite.
    """
    choice = choice or Choice()
    for other in features[1:]:
        check_same_videos(features[0], other)
    rows, labels, class_names = _shown(features[0].dataset, choice.split)
    kept = _of_classes(labels, class_names, choice)
    rows, labels = rows[kept], labels[kept]
    done = reduce(np.intersect1d, [_done_rows(f, partial=choice.partial) for f in features])
    held = np.isin(rows, done)
    rows, labels = rows[held], labels[held]
    if len(rows) < MIN_VIDEOS:
        raise UsageError(
            f"{len(rows)} videos are too few for a map; give a split, classes and feature sets "
            f"that share at least {MIN_VIDEOS}"
        )
    return Panels(
        dataset=features[0].dataset,
        rows=rows,
        labels=labels,
        class_names=class_names,
        vectors={one.name: video_vectors(one, rows) for one in features},
    )


def _shown(dataset: Dataset, split_name: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Rows in ascending order, their labels, and the class names."""
    if not dataset.is_everything(split_name):
        split = dataset.split(split_name)
        rows, first = np.unique(split.rows, return_index=True)
        labels = split.labels[first].astype(np.int64)
        return rows, np.where(labels < 0, UNLABELLED, labels), split.class_names
    columns, names = dataset.columns_and_classes("label")
    index = {name: number for number, name in enumerate(names)}
    labels = np.array([index.get(label, UNLABELLED) for label in columns["label"]], np.int64)
    return np.arange(len(labels)), labels, names


def _of_classes(labels: np.ndarray, names: list[str], choice: Choice) -> np.ndarray:
    """Whether each video is shown, bool [video]."""
    if unknown := sorted(set(choice.classes) - set(names)):
        raise UnknownNameError("class", unknown[0], names)
    present = np.unique(labels[labels != UNLABELLED])
    if choice.classes:
        chosen = [names.index(name) for name in choice.classes]
    elif choice.num_classes > len(present):
        raise UsageError(
            f"{choice.num_classes} classes are more than the {len(present)} that these videos "
            "have; give fewer"
        )
    elif choice.num_classes:
        chosen = np.random.default_rng(choice.seed).permutation(present)[: choice.num_classes]
    else:
        return np.ones(len(labels), bool)
    return np.isin(labels, chosen)


def _done_rows(features: Features, *, partial: bool) -> np.ndarray:
    if not partial:
        features.require_sealed()
    done = done_rows(features)
    if not len(done):
        raise IncompleteError(
            f"feature set {features.name} of {features.dataset.name} holds no video; run "
            "`vifi extract`"
        )
    return done
