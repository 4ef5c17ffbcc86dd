"""Whether the videos of a split can be scored: labels in their place, embeddings there."""

import numpy as np

from vifistore.errors import IncompleteError, UsageError
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
