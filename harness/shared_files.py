"""Which videos of a dataset were cut from one file or source: they are no independent videos."""

import numpy as np

from harness.retrieval.video_sources import FILES, sources_of
from vifistore.store.dataset import Dataset


def shared_files(dataset: Dataset, rows: np.ndarray) -> np.ndarray | None:
    """The file or other source (`sources_of`) that each of some rows was cut from, int64 [row], by
    its number from 0; None where each has its own."""
    numbers, _ = sources_of(dataset, rows)
    return numbers if len(numbers) and int(numbers.max()) + 1 < len(rows) else None


def shared_facts(dataset: Dataset, rows: np.ndarray) -> dict[str, object]:
    """What a row's provenance says of the sources that its intervals draw; nothing where each of
    the rows has its own.

    Of files alone it is how many `files` they are, of others how many `sources` and by what they
    are told.
    """
    numbers, told = sources_of(dataset, rows)
    count = int(numbers.max(initial=-1)) + 1
    if count == len(rows):
        return {}
    return {"files": count} if told == FILES else {"sources": count, "source": told}
