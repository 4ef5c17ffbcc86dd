"""Are a dataset's videos where the store says? Else thousands would be quarantined as missing.

One file that is gone is one video to quarantine. A folder that is gone, or a mount that is empty,
is nothing to write down: the run stops, and goes on once the videos are there again.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

from vifistore.errors import StoreError, shell
from vifistore.sources.asking import NetworkError
from vifistore.sources.footage import Footage
from vifistore.sources.roots import VideoFiles
from vifistore.store.dataset import Dataset

# The reason that a video is quarantined for which is not there.
MISSING = "missing"

# So many are looked for, evenly among all: of a million each would take minutes on a network disk.
_LOOKED_FOR = 256
_THREADS = 16
# So many of a server, where no more could be read, end the run.
_MOST_FAILED = 16


class Presence:
    """Looks whether the videos of a dataset are there: before a run, and when one is missing."""

    def __init__(self, dataset: Dataset, files: VideoFiles | None = None) -> None:
        """`files` are those that are wanted; all of the dataset by default."""
        self._dataset = dataset
        if files is None:
            table = dataset.paged("path", "size_bytes")
            files = VideoFiles(dataset.root(), table["path"], table["size_bytes"])
        self._root, self._all_files = files.root, files
        self._missing: set[str] = set()
        self._num_found = 0

    @cached_property
    def _files(self) -> VideoFiles:
        return self._all_files.different(_LOOKED_FOR)

    def require(self) -> None:
        """Raise StoreError if the folder of the videos is gone or was never known, or more than
        half of them are gone."""
        if self._root == Path():
            raise StoreError(
                f"where the videos of {self._dataset.name} lie is not known, as they came in "
                f"without any; say where they are: {self._relocation('DIR')}"
            )
        if self._is_folder_gone():
            self._refuse(f"the folder of the videos of {self._dataset.name} is gone: {self._root}")
        paths, are_there = self._files.paths, self._are_there()
        missing = [path for path, is_there in zip(paths, are_there, strict=True) if not is_there]
        # One alone is one that is missing, also where it is the only one.
        if len(missing) > max(1, len(self._files) // 2):
            self._refuse(
                f"{len(missing)} of {len(self._files)} videos of {self._dataset.name} that were "
                f"looked for are not below {self._root} (first: {missing[0]})"
            )

    def _is_folder_gone(self) -> bool:
        return isinstance(self._root, Path) and not os.path.isdir(self._root)

    def _are_there(self) -> list[bool]:
        """Whether each video that is looked for is there. Raises StoreError for a silent server."""
        if isinstance(self._root, Path):
            return [file.exists() for file in self._files]
        try:
            # One first: where nothing answers, many would be asked for in vain.
            are_there = [file.exists() for file in self._files.take(slice(1))]
        except NetworkError as error:
            raise StoreError(
                f"the videos of {self._dataset.name} cannot be fetched from {self._root} "
                f"({error}); check the network and the credentials, and run the same command again"
            ) from error
        with ThreadPoolExecutor(_THREADS) as pool:
            return [*are_there, *pool.map(_is_there, self._files.take(slice(1, None)))]

    def found(self) -> None:
        """Take note of a video that could be read."""
        self._num_found += 1

    def miss(self, path: str) -> None:
        """Look again, as a file was just missing: at the folder each time, at the videos ever more
        seldom; of another stretch of it, not again. Raises StoreError as `require` does, and where
        most videos of a server fail."""
        if path in self._missing:
            return
        self._missing.add(path)
        num_missing = len(self._missing)
        if not isinstance(self._root, Path) and num_missing >= max(_MOST_FAILED, self._num_found):
            raise StoreError(
                f"{num_missing} videos of {self._dataset.name} could not be fetched from "
                f"{self._root}, and {self._num_found} could; check the network and the "
                "credentials, and run the same command again"
            )
        is_power_of_two = not num_missing & (num_missing - 1)
        if is_power_of_two or self._is_folder_gone():
            self.require()

    def _refuse(self, what: str) -> None:
        raise StoreError(
            f"{what}; mount it and run the same command again, or say where they are now: "
            f"{self._relocation('NEW')}"
        )

    def _relocation(self, root: str) -> str:
        store, name = str(self._dataset.store.path), self._dataset.name
        return shell("vifi", "relocate", store, "--dataset", name, "--root", root)


def _is_there(file: Footage) -> bool:
    try:
        return file.exists()
    except NetworkError:
        return False
