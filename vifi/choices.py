"""What a verb means when a flag is left out."""

from typing import TYPE_CHECKING

from vifistore.errors import UsageError

if TYPE_CHECKING:
    from vifistore.store.store import Store


def choose_dataset(store: "Store", dataset: str) -> str:
    """`dataset`, or without one the store's only one. Raises UsageError if there are several."""
    known = store.datasets()
    if dataset or len(known) == 1:
        return dataset or known[0]
    if not known:
        raise UsageError(f"{store.path} holds no dataset; add one with vifi scan")
    raise UsageError(f"{store.path} holds {', '.join(known)}; say which: --dataset NAME")
