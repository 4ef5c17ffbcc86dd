"""Videos that are not the files that were scanned any more."""

import contextlib
import logging
from array import array
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from vifistore.errors import DamagedError, first_few
from vifistore.sources.footage import Footage, LocalFile
from vifistore.store.dataset import Dataset
from vifistore.store.features import Features
from vifistore.store.paged_table import PagedTable
from vifistore.store.schema import STRETCH_COLUMNS

logger = logging.getLogger("vifi")

WATCHED = ("path", "size_bytes", "mtime_ns", *STRETCH_COLUMNS)
"""The columns that are compared with what is there."""

_SHOWN = 10
_ROWS_SHOWN = 3
_THREADS = 8
_LONG_PATH = 200


class ChangeLog:
    """Collects the files that are other than the scan saw them, and names them once: those that
    changed on disk, with their rows, and rows that turn out to be longer, or damaged.

    Size and date are compared first, once a file, which costs no reading. A digest that an earlier
    extraction took of the same row then tells a new date from new content.
    """

    def __init__(self, dataset: Dataset, videos: PagedTable) -> None:
        """`videos` has the columns of WATCHED."""
        self._dataset = dataset
        self._paths, self._sizes, self._dates = (videos[name] for name in WATCHED[:3])
        self._starts, self._ends = (videos[name] for name in STRETCH_COLUMNS)
        self._suspects: dict[str, str] = {}
        self._rows: dict[str, array] = {}
        """Path -> rows of its file that were looked at; of whole videos, until they were read."""
        # A server takes as long to tell as to begin to give: nobody waits for it meanwhile.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="look")
        self._looks: dict[str, Future[None]] = {}
        self._sealed: list[Features] | None = None
        self._cut: dict[int, int] = {}
        """Row -> frames that it has beyond those there is room for."""
        self._room = 0
        self._lost: dict[int, float] = {}
        """Row -> seconds that a damaged file lost of it."""

    def look(self, row: int, footage: Footage) -> None:
        """Compare the file of a row, as it is now, with what the scan saw."""
        if not self._sizes[row]:
            return
        rows = self._rows.setdefault(self._paths[row], array("q"))
        rows.append(row)
        if len(rows) > 1:
            return
        if isinstance(footage, LocalFile):
            self._compare(row, footage)
        else:
            self._looks[self._paths[row]] = self._threads.submit(self._compare, row, footage)

    def _compare(self, row: int, footage: Footage) -> None:
        try:
            now = footage.stamp()
        except OSError:
            return
        if now.size_bytes != self._sizes[row]:
            self._suspects[self._paths[row]] = (
                f"{self._sizes[row]} bytes then, {now.size_bytes} now"
            )
        elif now.mtime_ns != self._dates[row]:
            self._suspects[self._paths[row]] = "its date is another"

    def read(self, row: int, digest: str) -> None:
        """Compare the content of a suspect with what an earlier extraction read."""
        path = self._paths[row]
        if path in self._looks:
            self._looks.pop(path).result()
        if path not in self._suspects:
            if self._starts[row] == 0 and np.isnan(self._ends[row]):
                # No other row is of this file.
                self._rows.pop(path, None)
            return
        if self._sealed is None:
            self._sealed = sealed_sets(self._dataset)
        known = digests_read(self._sealed, row)
        if digest in known:
            del self._suspects[path]
        elif known:
            self._suspects[path] = "its content is another"

    def cut(self, row: int, room: int, left_out: int) -> None:
        """Note that a row has frames beyond those that there is room for."""
        # Lengths are rounded: one frame more is none that was lost.
        if left_out > 1:
            self._cut[row], self._room = left_out, room

    def lose(self, row: int, seconds: float) -> None:
        """Note that a damaged file does not hold some seconds of a row any more."""
        if seconds:
            self._lost[row] = round(seconds, 1)

    def say(self) -> None:
        """Log the files that changed, and the rows that are longer, or damaged, in a line each."""
        for look in self._looks.values():
            look.result()
        self._threads.shutdown()
        if self._lost:
            logger.warning(
                "%d videos are of damaged files, and some of their seconds hold no frame of their "
                "own, but the one before: %s",
                *(len(self._lost), first_few(self._counted(self._lost))),
            )
        if self._cut:
            told = self._counted(self._cut)
            logger.warning(
                "%d videos are longer than the scan could tell, and their last frames are left "
                "out: %s; for all of them give --frames %d and another --name",
                *(len(told), first_few(told), self._room + max(self._cut.values())),
            )
        if not self._suspects:
            return
        changed = [f"{path} ({why}{self._stretches(path)})" for path, why in self._suspects.items()]
        logger.warning(
            "%d videos changed on disk since the scan, and were read as they are now: %s",
            *(len(changed), first_few(changed, _SHOWN, _LONG_PATH)),
        )

    def _counted(self, rows: Mapping[int, float]) -> list[str]:
        """Ids of rows, each with a number."""
        names = self._dataset.paged("id")["id"]
        return [f"{names[row]} ({count})" for row, count in rows.items()]

    def _stretches(self, path: str) -> str:
        """The rows of a file, where they are several."""
        rows = self._rows[path]
        if len(rows) < 2:
            return ""
        names = self._dataset.paged("id")["id"]
        return f"; rows {first_few([names[row] for row in rows], _ROWS_SHOWN)}"


def sealed_sets(dataset: Dataset) -> list[Features]:
    """The feature sets of a dataset whose digests can be relied on."""
    sets = map(dataset.features, dataset.feature_ids())
    return [features for features in sets if features.sealed]


def digests_read(sets: Iterable[Features], row: int) -> set[str]:
    """Content digests of a video, as earlier extractions read it."""
    digests = set()
    for features in sets:
        if row < features.num_videos:
            with contextlib.suppress(DamagedError):
                digests.add(features.read("content_digest", row, row + 1)[0])
    return digests - {""}
