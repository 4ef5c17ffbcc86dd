"""Hits: the videos that answer a query, with what the table of videos says of them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vifistore.store.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One video, or one stretch of it, that answers a query."""

    rank: int
    """1 for the best."""
    score: float
    """Cosine with the query; of a stretch, that of its best frame."""
    dataset: str
    row: int
    """Row of the dataset's table of videos."""
    id: str
    path: str
    label: str
    start_seconds: float | None
    end_seconds: float | None
    """The whole video unless frames were searched; None where its duration is not known."""

    def as_dict(self) -> dict:
        """The fields that `vifi search --json` prints."""
        return {key: value for key, value in vars(self).items() if key != "row"}


class VideoTable:
    """Columns of a dataset's table of videos, read once each when they are asked for."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    @cached_property
    def ids(self) -> np.ndarray:
        """object [video]"""
        return self.dataset.column("id")

    @cached_property
    def paths(self) -> np.ndarray:
        """object [video]"""
        return self.dataset.column("path")

    @cached_property
    def labels(self) -> np.ndarray:
        """object [video]; empty where a video has none."""
        return self.dataset.column("label")

    @cached_property
    def durations(self) -> np.ndarray:
        """float64 [video], seconds; 0 where it is not known."""
        return np.nan_to_num(self.dataset.column("duration_seconds"))

    def labelled_rows(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Rows of a split, or of the whole dataset, and the label of each in it."""
        if split:
            found = self.dataset.split(split)
            # A label of -1 is the last name.
            return found.rows, np.array([*found.class_names, ""], object)[found.labels]
        return np.arange(len(self.labels)), self.labels

    def row_of(self, video: str) -> int | None:
        """Row of a video by its id, its path, or either behind the name of the dataset."""
        names = (video, video.removeprefix(f"{self.dataset.name}/"))
        for column in (self.ids, self.paths):
            rows = np.flatnonzero((column == names[0]) | (column == names[1]))
            if len(rows):
                return int(rows[0])
        return None

    def hit(self, rank: int, score: float, row: int, moment: tuple[float, float] | None) -> Hit:
        """A hit of a whole video, or of a moment of it (seconds)."""
        duration = float(self.durations[row]) or None
        start, end = moment or ((0.0, duration) if duration else (None, None))
        if moment and duration:
            # The last frame reaches as far beyond itself as before, which may be past the end.
            end = min(end, max(duration, start))
        return Hit(
            rank=rank,
            score=score,
            dataset=self.dataset.name,
            row=row,
            id=str(self.ids[row]),
            path=str(self.paths[row]),
            label=str(self.labels[row]),
            start_seconds=start,
            end_seconds=end,
        )
