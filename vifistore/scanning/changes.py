"""Videos that are not the files that were scanned any more."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from vifistore.errors import DamagedError, first_few
from vifistore.store.dataset import Dataset
from vifistore.videos.extensions import is_frame

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger("vifi")

_SHOWN = 10
_LONG_PATH = 200


class ChangeLog:
    """Collects the videos that changed on disk since the scan, and names them once.

    Size and date are compared first, which costs no reading. A digest that an earlier extraction
    took of the same row then tells a new date from new content.
    """

    def __init__(self, dataset: Dataset, videos: "pd.DataFrame") -> None:
        self._dataset = dataset
        self._paths = videos["path"].to_numpy()
        self._sizes = videos["size_bytes"].to_numpy()
        self._dates = videos["mtime_ns"].to_numpy()
        self._suspects: dict[int, str] = {}
        self._known: list | None = None

    def look(self, row: int, path: Path) -> None:
        """Compare the file, or folder of frames, of a row with what the scan saw."""
        if not self._sizes[row]:
            return
        try:
            size, date = size_and_date(path)
        except OSError:
            return
        if size != self._sizes[row]:
            self._suspects[row] = f"{self._sizes[row]} bytes then, {size} now"
        elif date != self._dates[row]:
            self._suspects[row] = "its date is another"

    def read(self, row: int, digest: str) -> None:
        """Compare the content of a suspect with what an earlier extraction read."""
        if row not in self._suspects:
            return
        known = self._digests_of(row)
        if digest in known:
            del self._suspects[row]
        elif known:
            self._suspects[row] = "its content is another"

    def _digests_of(self, row: int) -> set[str]:
        if self._known is None:
            sets = [self._dataset.features(name) for name in self._dataset.feature_ids()]
            self._known = [features for features in sets if features.sealed]
        found = set()
        for features in self._known:
            if row < features.num_videos:
                try:
                    found.add(features.read("content_digest", row, row + 1)[0])
                except DamagedError:
                    continue
        return found - {""}

    def say(self) -> None:
        """Log the videos that changed, in one line."""
        if not self._suspects:
            return
        changed = [f"{self._paths[row]} ({why})" for row, why in self._suspects.items()]
        logger.warning(
            "%d videos changed on disk since the scan, and were read as they are now: %s",
            *(len(changed), first_few(changed, _SHOWN, _LONG_PATH)),
        )


def size_and_date(path: Path) -> tuple[int, int]:
    """Bytes, and nanoseconds since 1970 of the last change, as a scan takes them: of a file, or
    of all images of a folder."""
    if not path.is_dir():
        status = os.stat(path)
        return status.st_size, status.st_mtime_ns
    with os.scandir(path) as entries:
        found = [
            entry.stat()
            for entry in entries
            if is_frame(entry.name) and not entry.name.startswith(".") and entry.is_file()
        ]
    dates = [status.st_mtime_ns for status in found]
    return sum(status.st_size for status in found), max(dates, default=0)
