"""What a run has to know of all videos that it may come to, in a few numbers each.

Paths are told apart by their hashes: where two are equal by chance, a file is read once more or a
copy is missed, and no embedding is another.
"""

from collections.abc import Sequence

import numpy as np

from vifistore.scanning.changes import WATCHED
from vifistore.sources.roots import VideoFiles
from vifistore.store.dataset import Dataset


class PlannedVideos:
    """The table of videos, of which a few pages are held, and which files may be equal."""

    def __init__(self, dataset: Dataset, planned: Sequence[int]) -> None:
        """`planned` are the rows that the run may have. Raises DamagedError if the table is not
        what was written."""
        self.table = dataset.paged(*WATCHED)
        self.paths = self.table["path"]
        self.sizes_bytes = self.table["size_bytes"]
        self.starts, self.ends = self.table["start_seconds"], self.table["end_seconds"]
        self.files = VideoFiles(dataset.root(), self.paths, self.sizes_bytes)
        hashes, sizes = self._read(np.asarray(planned, np.int64))
        self._shared = repeated(hashes)
        if len(self._shared):
            # Stretches of one file have its size, and are no twins.
            sizes = sizes[np.unique(hashes, return_index=True)[1]]
        self.repeated_sizes = repeated(sizes)
        """int64 [size], ascending: bytes that several planned files have."""
        self.sizes = np.unique(sizes)
        """int64 [size], ascending: bytes of planned files."""

    def _read(self, planned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hash of the path and bytes of the file of each planned row, int64 [planned]."""
        is_planned = np.zeros(self.table.num_rows, bool)
        is_planned[planned] = True
        hashes, sizes = np.empty((2, int(is_planned.sum())), np.int64)
        stop = 0
        for first, columns in self.table.read_through():
            here = is_planned[first : first + len(columns["path"])]
            start, stop = stop, stop + int(here.sum())
            hashes[start:stop] = [hash(path) for path in columns["path"][here]]
            sizes[start:stop] = columns["size_bytes"][here]
        return hashes, sizes

    def is_shared(self, path: str) -> bool:
        """Whether several planned rows are of the file at a path."""
        return bool(are_among(np.array([hash(path)]), self._shared)[0])


def repeated(values: np.ndarray) -> np.ndarray:
    """Those of some integers, [value], that occur more than once, ascending."""
    ordered = np.sort(values)
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def are_among(values: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Which integers, [value], are among others that ascend: bool [value]."""
    if not len(ordered):
        return np.zeros(len(values), bool)
    places = np.searchsorted(ordered, values).clip(max=len(ordered) - 1)
    return ordered[places] == values
