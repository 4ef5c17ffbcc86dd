"""How many training videos each class has, and where base and novel are cut (Figure 2).

class_frequencies(store.dataset("ucf101"), "base_val", "novel_val", "train1")
"""

from typing import TYPE_CHECKING

import numpy as np

from vifistore.errors import UsageError
from vifistore.store.dataset import Dataset

if TYPE_CHECKING:
    import pandas as pd


def class_frequencies(
    dataset: Dataset, base_split: str, novel_split: str, train_split: str = ""
) -> "pd.DataFrame":
    """One row per class: dataset, class, count, subset (base or novel).

    Counted are the videos of `train_split`, without one every labelled video of the dataset.
    Raises UsageError for a training split that lacks a class.
    """
    import pandas as pd

    counts = _counts(dataset, train_split)
    parts = {"base": base_split, "novel": novel_split}
    subset_of = {
        name: subset for subset, split in parts.items() for name in dataset.split(split).class_names
    }
    missing = [name for name in subset_of if not counts.get(name)]
    if missing:
        raise UsageError(
            f"{train_split or dataset.name} has no video of {len(missing)} of {len(subset_of)} "
            f"classes (first: {missing[0]!r}); "
            "give a split of all training videos with --train-split"
        )
    columns = {
        "dataset": [dataset.name] * len(subset_of),
        "class": list(subset_of),
        "count": [counts[name] for name in subset_of],
        "subset": list(subset_of.values()),
    }
    return pd.DataFrame(columns)


def _counts(dataset: Dataset, train_split: str) -> dict[str, int]:
    split = dataset.split(train_split)
    labelled = split.labels[split.labels >= 0]
    found = np.bincount(labelled, minlength=len(split.class_names))
    return dict(zip(split.class_names, found.tolist(), strict=True))
