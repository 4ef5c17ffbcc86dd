"""What a verb means when a flag is left out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vifistore.errors import UsageError

if TYPE_CHECKING:
    from vifistore.store.dataset import Dataset
    from vifistore.store.features import Features
    from vifistore.store.store import Store


def choose_dataset(store: "Store", dataset: str) -> str:
    """`dataset`, or without one the store's only one. Raises UsageError if there are several."""
    known = store.datasets()
    if dataset or len(known) == 1:
        return dataset or known[0]
    if not known:
        raise UsageError(f"{store.path} holds no dataset; add one with vifi scan")
    raise UsageError(f"{store.path} holds {', '.join(known)}; say which: --dataset NAME")


def choose_features(dataset: "Dataset", names: Sequence[str]) -> "list[Features]":
    """The feature sets of these names, or without any the only one of the dataset.

    Raises UsageError where there is none, or several, which are listed.
    """
    if names:
        return [dataset.features(name) for name in names]

    from harness.retrieval.searched_sets import choose_sources

    return choose_sources(dataset.store, dataset=dataset.name)
