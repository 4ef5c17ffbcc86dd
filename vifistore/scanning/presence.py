"""Are a dataset's videos where the store says? Else thousands would be quarantined as missing.

One file that is gone is one video to quarantine. A folder that is gone, or a mount that is empty,
is nothing to write down: the run stops, and goes on once the videos are there again.
"""

import os

from vifistore.errors import StoreError, shell
from vifistore.sources.roots import VideoFiles
from vifistore.store.dataset import Dataset

# The reason that a video is quarantined for which is not there.
MISSING = "missing"

# So many are looked for, evenly among all: of a million each would take minutes on a network disk.
_LOOKED_FOR = 256


class Presence:
    """Looks whether the videos of a dataset are there: before a run, and when one is missing."""

    def __init__(self, dataset: Dataset, files: VideoFiles | None = None) -> None:
        """`files` are those that are wanted; all of the dataset by default."""
        self._dataset = dataset
        files = dataset.files() if files is None else files
        self._root, self._files = files.root, files.evenly(_LOOKED_FOR)
        self._num_missing = 0

    def require(self) -> None:
        """Raise StoreError if the folder of the videos is gone, or more than half of them are."""
        if not os.path.isdir(self._root):
            self._refuse(f"the folder of the videos of {self._dataset.name} is gone: {self._root}")
        paths = self._files.paths
        missing = [paths[row] for row, file in enumerate(self._files) if not file.exists()]
        # One alone is one that is missing, also where it is the only one.
        if len(missing) > max(1, len(self._files) // 2):
            self._refuse(
                f"{len(missing)} of {len(self._files)} videos of {self._dataset.name} that were "
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
