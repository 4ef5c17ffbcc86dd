"""Hits: the videos that answer a query, with what the table of videos says of them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vifistore.short_numbers import in_short
from vifistore.store.dataset import Dataset
from vifistore.store.stretch_times import are_parts

if TYPE_CHECKING:
    from vifistore.sources.roots import VideoFiles


class HitCurve(NamedTuple):
    """How well a video answers a query over its time, in a few hundred points at most."""

    times: tuple[float, ...]
    """Seconds from the start of the file, ascending."""
    scores: tuple[float, ...]
    """Of each time the cosine of its frame with the query."""


class Match(NamedTuple):
    """A video, or a stretch of it, by its cosine with a query."""

    row: int
    score: float
    start_seconds: float | None = None
    """None where it is a whole video."""
    end_seconds: float | None = None
    curve: HitCurve | None = None
    """Of a moment that was found on the timeline of its whole file."""


# What only a page needs to show a hit.
_UNPRINTED = ("row", "is_part", "curve")


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One video, or one stretch of it, that answers a query."""

    rank: int
    """1 for the best."""
    score: float
    """Cosine with the query, and of a stretch that of its best frame; of a rerank, of several terms
    and of words what their files in this room say."""
    dataset: str
    row: int
    """Row of the dataset's table of videos."""
    id: str
    path: str
    label: str
    start_seconds: float | None
    end_seconds: float | None
    """Within its file: the whole row unless frames were searched; None where the row goes on to the
    end of a file whose duration is not known."""
    is_part: bool = False
    """Whether the row is a part of its file."""
    curve: HitCurve | None = None
    """Of a moment, the scores over the time of its whole file."""

    def as_dict(self) -> dict:
        """The fields that `vifi search --json` prints, their numbers in their shortest digits."""
        fields = {key: value for key, value in vars(self).items() if key not in _UNPRINTED}
        told = fields | ({"curve": self.curve._asdict()} if self.curve else {})
        return {key: in_short(value) for key, value in told.items()}


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
    def files(self) -> "VideoFiles":
        """The videos, to be read."""
        return self.dataset.files()

    @cached_property
    def labels(self) -> np.ndarray:
        """object [video]; empty where a video has none."""
        return self.dataset.column("label")

    @cached_property
    def stretches(self) -> np.ndarray:
        """float64 [video 2]: seconds of its file between which each row lies; the end is not a
        number where it is that of a file whose duration is not known."""
        starts, ends, durations = self._times
        known = np.where(durations > 0, durations, np.nan)
        return np.stack([starts, np.where(np.isnan(ends), known, ends)], axis=1)

    @property
    def durations(self) -> np.ndarray:
        """float64 [video]: seconds of the whole file of each row; 0 where that is not known."""
        return self._times[2]

    @cached_property
    def _times(self) -> tuple[np.ndarray, ...]:
        """Starts, ends and durations of the same rows, float64 [video] each."""
        names = ("start_seconds", "end_seconds", "duration_seconds")
        return tuple(self.dataset.columns_at_once(*names).values())

    def middle(self, row: int) -> float | None:
        """Seconds of its file in the middle of a row that is a part of it; None of a whole video.

        Of a part without a known end it is where the part begins.
        """
        if not self._are_parts[row]:
            return None
        start, end = self.stretches[row]
        return float(start if np.isnan(end) else (start + end) / 2)

    @cached_property
    def has_parts(self) -> bool:
        """Whether some row is a part of its file."""
        return bool(self._are_parts.any())

    @cached_property
    def _are_parts(self) -> np.ndarray:
        """bool [video]"""
        return are_parts(*self.dataset.stretches())

    def labelled_rows(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Rows of a split, or of the whole dataset, int64 [video], and the label of each in it."""
        if split:
            members = self.dataset.split(split)
            # A label of -1 is the last name.
            return members.rows, np.array([*members.class_names, ""], object)[members.labels]
        return np.arange(len(self.labels)), self.labels

    def rows_of(self, video: str) -> np.ndarray:
        """Rows of a video by its id, or of a file by its path, or by either behind the name of the
        dataset: int64 [row], none if there is no such video."""
        names = (video, video.removeprefix(f"{self.dataset.name}/"))
        for column in (self.ids, self.paths):
            rows = np.flatnonzero((column == names[0]) | (column == names[1]))
            if len(rows):
                return rows
        return np.empty(0, np.int64)

    def hit(self, rank: int, match: Match) -> Hit:
        """A match with what the table says of its video."""
        row, score, start, end, curve = match
        begin, last = map(float, self.stretches[row])
        if start is None or end is None:
            start, end = (None, None) if np.isnan(last) else (begin, last)
        elif curve is None:
            # The outer frames reach as far outwards as inwards, which may be beyond the row; a
            # moment that was found on a timeline may lie in several rows.
            start = max(start, begin)
            end = max(start, end if np.isnan(last) else min(end, last))
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
            is_part=bool(self._are_parts[row]),
            curve=curve,
        )


def class_in_words(words: str, class_names: Iterable[str]) -> str:
    """The longest class name that stands in a query as whole words, or "" if none does.

    Case, underscores and signs between words do not count.
    """
    query = _plain(words)
    inside = [name for name in class_names if _plain(name).strip() and _plain(name) in query]
    return max(inside, key=len, default="")


def is_right(label: str, asked: str) -> bool | None:
    """Whether a label is the wanted class; None where either is not known."""
    return label == asked if label and asked else None


def _plain(text: str) -> str:
    words = re.findall(r"\w+", text.lower().replace("_", " "))
    return f" {' '.join(words)} "
