"""Thumbnails of a store's videos in a results folder, made when they are asked for."""

import logging
from collections.abc import Iterable
from pathlib import Path

from harness.results.page_pictures import thumbnail_path
from harness.retrieval.hits import Hit
from vifi.searching.video_files import video_file
from vifistore.errors import DecodeError, StoreError
from vifistore.store.dataset import Dataset
from vifistore.store.store import Store

logger = logging.getLogger("vifi")


class Pictures:
    """Pictures of what a search found, below a results folder."""

    def __init__(self, store: Store, results: Path) -> None:
        self._store = store
        self._results = results

    def of_video(self, dataset: str, row: int) -> str | None:
        """Path of the middle frame's picture below the results; None if it cannot be read."""
        path = str(self._store.dataset(dataset).column("path")[row])
        return self._try(dataset, row, path)

    def of_hit(self, hit: Hit, *, is_moment: bool) -> str | None:
        """The picture of a video, or of the middle of a moment."""
        seconds = None
        if is_moment and hit.start_seconds is not None and hit.end_seconds is not None:
            seconds = (hit.start_seconds + hit.end_seconds) / 2
        return self._try(hit.dataset, hit.row, hit.path, seconds)

    def _try(self, dataset: str, row: int, path: str, seconds: float | None = None) -> str | None:
        try:
            return draw_picture(self._store.dataset(dataset), self._results, row, path, seconds)
        except (DecodeError, StoreError) as error:
            logger.warning("%s has no picture: %s", path, error)
            return None


def write_thumbnails(dataset: Dataset, results: Path, rows: Iterable[int]) -> dict[int, str]:
    """Make a picture of each video below `results`; returns row -> its path from there.

    A video that cannot be read gets none; one line of the log tells of all of them.
    """
    paths = dataset.column("path")
    written, failed = {}, []
    for row in map(int, rows):
        try:
            written[row] = draw_picture(dataset, results, row, str(paths[row]))
        except (DecodeError, StoreError) as error:
            failed.append(str(error))
    if failed:
        logger.warning("%d videos have no picture (first: %s)", len(failed), failed[0])
    return written


def draw_picture(
    dataset: Dataset, results: Path, row: int, path: str, seconds: float | None = None
) -> str:
    """Draw a video, its middle or a moment, and return where below the results; a picture that is
    there stays.

    Raises DecodeError for a video that cannot be read, StoreError for a path that is none.
    """
    # PyAV and Pillow: only where there is something to draw.
    from vifistore.frames.thumbnails import write_thumbnail

    name = thumbnail_path(dataset.name, row, seconds)
    if not (results / name).is_file():
        write_thumbnail(video_file(dataset, path), results / name, seconds)
    return name
