"""Whether the videos of a split can be scored: labels in their place, embeddings there; and whether
scores are numbers, and of the same videos."""

import numpy as np

from vifistore.errors import IncompleteError, UsageError
from vifistore.store.dataset import Dataset
from vifistore.store.features import Features
from vifistore.store.schema import DONE, QUARANTINED, TODO
from vifistore.store.splits import Split


def check_labels(split: Split, dataset: str) -> None:
    """Raise UsageError for an empty split, unlabelled videos or labels outside the classes."""
    if not len(split.rows):
        raise UsageError(f"split {split.name} of {dataset} is empty; choose another --split")
    if unlabelled := int((split.labels < 0).sum()):
        raise UsageError(
            f"{unlabelled} of {len(split.labels)} videos of split {split.name} of {dataset} have "
            "no label; scan them with a list that gives one, or choose another --split"
        )
    if int(split.labels.max()) >= len(split.class_names):
        raise UsageError(
            f"split {split.name} of {dataset} uses label {int(split.labels.max())}, but names "
            f"only {len(split.class_names)} classes; scan it again with the right class names"
        )


def check_covered(features: Features, split: Split, status: np.ndarray, *, partial: bool) -> None:
    """Raise IncompleteError where videos are to do, by their status uint8 [video], and `partial` is
    False, or none is done."""
    where = f"of split {split.name} of {features.dataset.name}"
    num_todo = int((status == TODO).sum())
    if num_todo and not partial:
        raise IncompleteError(
            f"feature set {features.name} lacks {num_todo} of {len(status)} videos {where}; run "
            "`vifi extract` again, or give --partial"
        )
    if not (status == DONE).any():
        raise IncompleteError(
            f"feature set {features.name} holds none of the {len(status)} videos {where} "
            f"({int((status == QUARANTINED).sum())} quarantined); run `vifi extract --retry`"
        )


def check_scores(scores: np.ndarray, fusion: str) -> None:
    """Raise UsageError for scores [video class] that are not finite: none beats another, so that
    every answer would be right."""
    bad = ~np.isfinite(scores).all(axis=1)
    if bad.any():
        raise UsageError(
            f"{fusion} gave {int(bad.sum())} of {len(scores)} videos scores that are no numbers "
            f"(first: number {int(bad.argmax())}); mend its rule, which may divide by zero"
        )


def check_same_videos(first: Features, second: Features) -> None:
    """Raise UsageError where a row is one video to one feature set and another to the other."""
    one, other = first.dataset, second.dataset
    is_one = one.name == other.name and one.store.path == other.store.path
    if is_one or (one.name == other.name and _have_equal_ids(one, other)):
        return
    raise UsageError(
        f"{first.name} of {one.name} and {second.name} of {other.name} are of other videos or list "
        "them in another order, so that their rows are no pairs; give two sets of one dataset "
        "(results folders of two stores are paired by id: `vifi compare`)"
    )


def _have_equal_ids(first: Dataset, second: Dataset) -> bool:
    """As far as both go: one may have grown."""
    ids, others = first.column("id"), second.column("id")
    common = min(len(ids), len(others))
    return np.array_equal(ids[:common], others[:common])
