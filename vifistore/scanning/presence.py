"""Are a dataset's videos where the store says? Else thousands would be quarantined as missing.

One file that is gone is one video to quarantine. A folder that is gone, or a mount that is empty,
is nothing to write down: the run stops, and goes on once the videos are there again.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vifistore.errors import StoreError, shell
from vifistore.store.dataset import Dataset

# The reason that a video is quarantined for which is not there.
MISSING = "missing"

# So many are looked for, evenly among all: of a million each would take minutes on a network disk.
_LOOKED_FOR = 256


class Presence:
    """Looks whether the videos of a dataset are there: before a run, and when one is missing."""

    def __init__(self, dataset: Dataset, paths: Sequence[str] | np.ndarray | None = None) -> None:
        """`paths` are those that are wanted, below the dataset's root; all of them by default."""
        self._dataset = dataset
        self._root = dataset.root()
        listed = dataset.column("path") if paths is None else paths
        step = -(-len(listed) // _LOOKED_FOR) or 1
        self._paths = [str(path) for path in listed[::step]]
        self._num_missing = 0

    def require(self) -> None:
        """Raise StoreError if the folder of the videos is gone, or more than half of them are."""
        if not os.path.isdir(self._root):
            self._refuse(f"the folder of the videos of {self._dataset.name} is gone: {self._root}")
        missing = [path for path in self._paths if not os.path.exists(Path(self._root, path))]
        # One alone is one that is missing, also where it is the only one.
        if len(missing) > max(1, len(self._paths) // 2):
            self._refuse(
                f"{len(missing)} of {len(self._paths)} videos of {self._dataset.name} that were "
                f"looked for are not below {self._root} (first: {missing[0]})"
            )

    def miss(self) -> None:
        """Look again, as one was just missing: at the folder each time, at the videos ever more
        seldom. Raises StoreError as `require` does."""
        self._num_missing += 1
        is_power_of_two = not self._num_missing & (self._num_missing - 1)
        if is_power_of_two or not os.path.isdir(self._root):
            self.require()

    def _refuse(self, what: str) -> None:
        words = ["vifi", "relocate", str(self._dataset.store.path), "--dataset", self._dataset.name]
        raise StoreError(
            f"{what}; mount it and run the same command again, or say where they are now: "
            f"{shell(*words)} --root NEW"
        )
