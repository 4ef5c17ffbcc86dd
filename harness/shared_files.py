"""Which videos of a dataset lie in one file: stretches of it are no independent videos."""

import numpy as np

from vifistore.store.dataset import Dataset


def shared_files(dataset: Dataset, rows: np.ndarray) -> np.ndarray | None:
    """The file that each of some rows lies in, int64 [row], by its number from 0; None where each
    has its own, as whole videos have."""
    if "start_seconds" not in dataset.columns:
        return None
    numbers: dict[str, int] = {}
    paths = dataset.column("path")[rows].tolist()
    files = np.array([numbers.setdefault(path, len(numbers)) for path in paths], np.int64)
    return files if len(numbers) < len(rows) else None
