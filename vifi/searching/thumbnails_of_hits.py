"""Thumbnails of a store's videos in a results folder, made when they are asked for."""

import logging
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from harness.results.page_pictures import thumbnail_path
from harness.retrieval.hits import Hit, VideoTable
from vifi.searching.video_files import video_file
from vifistore.errors import DecodeError, StoreError
from vifistore.store.dataset import Dataset
from vifistore.store.store import Store

logger = logging.getLogger("vifi")


class Pictures:
    """Pictures of what a search found, below a results folder."""

    def __init__(self, store: Store, results: Path) -> None:
        self._table = lru_cache(None)(lambda name: VideoTable(store.dataset(name)))
        self._results = results

    def of_video(self, dataset: str, row: int) -> str | None:
        """Path below the results of a picture of the row's middle; None if it cannot be read."""
        return self._try(dataset, row)

    def of_hit(self, hit: Hit, *, is_moment: bool) -> str | None:
        """The picture of the middle of a row, or of a moment."""
        seconds = None
        if is_moment and hit.start_seconds is not None and hit.end_seconds is not None:
            seconds = (hit.start_seconds + hit.end_seconds) / 2
        return self._try(hit.dataset, hit.row, seconds)

    def _try(self, dataset: str, row: int, seconds: float | None = None) -> str | None:
        table = self._table(dataset)
        try:
            return draw_picture(table, self._results, row, seconds)
        except (DecodeError, StoreError) as error:
            logger.warning("%s has no picture: %s", table.paths[row], error)
            return None


def write_thumbnails(dataset: Dataset, results: Path, rows: Iterable[int]) -> dict[int, str]:
    """Make a picture of each video below `results`; returns row -> its path from there.

    A video that cannot be read gets none; one line of the log tells of all of them.
    """
    table = VideoTable(dataset)
    written, failed = {}, []
    for row in map(int, rows):
        try:
            written[row] = draw_picture(table, results, row)
        except (DecodeError, StoreError) as error:
            failed.append(str(error))
    if failed:
        logger.warning("%d videos have no picture (first: %s)", len(failed), failed[0])
    return written


def draw_picture(table: VideoTable, results: Path, row: int, seconds: float | None = None) -> str:
    """Draw a row of a table of videos, its middle or a moment of its file, and return where below
    the results; a picture that is there stays.

    Raises DecodeError for a video that cannot be read, StoreError for a path that is none.
    """
    # PyAV and Pillow: only where there is something to draw.
    from vifistore.frames.previews.thumbnails import write_thumbnail

    name = thumbnail_path(table.dataset.name, row, seconds)
    if not (results / name).is_file():
        footage = video_file(table.files, row, table.dataset.name)
        write_thumbnail(footage, results / name, table.middle(row) if seconds is None else seconds)
    return name
