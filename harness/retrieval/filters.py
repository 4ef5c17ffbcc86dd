"""Which videos may be found: by split, by labels, by seconds of their files and by duration.

Filters are exact, and what is given is wanted together: a video of one of the labels, in the split,
in those seconds, and of a file that long.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.retrieval.hits import VideoTable
from vifistore.errors import UnknownNameError, UsageError


@dataclass(frozen=True, kw_only=True)
class TimeFilter:
    """Seconds of files that are searched, and how long the files are; None is no bound.

    Raises UsageError for bounds between which nothing lies.
    """

    start_seconds: float | None = None
    """Rows are looked at that go on behind it, and their frames from it on."""
    end_seconds: float | None = None
    """Rows that begin before it, and their frames before it."""
    min_seconds: float | None = None
    """Length that a file has at least."""
    max_seconds: float | None = None
    """Length that it has at most."""

    def __post_init__(self) -> None:
        for flag, seconds in self.by_flag.items():
            if not (math.isfinite(seconds) and seconds >= 0):
                raise UsageError(f"{flag} is {seconds:g}; give seconds, 0 or more")
        if not self.begin < self.end:
            raise UsageError(
                f"--from {self.begin:g} and --to {self.end:g} have no seconds between them; give a "
                "--to behind --from"
            )
        least, most = self.min_seconds or 0.0, self.most
        if least > most:
            raise UsageError(
                f"no video is {least:g} seconds or longer (--min-seconds) and {most:g} or shorter "
                "(--max-seconds); exchange them"
            )

    @property
    def by_flag(self) -> dict[str, float]:
        """The bounds that there are, by their flags of `vifi search`."""
        bounds = {
            "--from": self.start_seconds,
            "--to": self.end_seconds,
            "--min-seconds": self.min_seconds,
            "--max-seconds": self.max_seconds,
        }
        return {flag: bound for flag, bound in bounds.items() if bound is not None}

    @property
    def begin(self) -> float:
        """Seconds of a file from which on it is looked at."""
        return 0.0 if self.start_seconds is None else self.start_seconds

    @property
    def end(self) -> float:
        """Seconds of a file before which it is looked at; infinite for its end."""
        return math.inf if self.end_seconds is None else self.end_seconds

    @property
    def most(self) -> float:
        """Seconds that a file has at most; infinite for any."""
        return math.inf if self.max_seconds is None else self.max_seconds

    @property
    def bounds_frames(self) -> bool:
        """Whether some frames of a row may count and others not."""
        return self.start_seconds is not None or self.end_seconds is not None

    def has_frames(self, seconds: np.ndarray) -> np.ndarray:
        """Which frames, by their `seconds` in their file, [...], are looked at: bool [...]."""
        return (seconds >= self.begin) & (seconds < self.end)

    def has_rows(self, table: VideoTable) -> np.ndarray:
        """Which rows are looked at, bool [video]: those that overlap the seconds, of files that are
        as long. A file whose length is not known is of no length that is asked for."""
        starts, ends = table.stretches.T
        chosen = (starts < self.end) & ~(ends <= self.begin)
        if self.min_seconds is not None or self.max_seconds is not None:
            lengths = table.durations
            chosen &= (
                (lengths > 0) & (lengths >= (self.min_seconds or 0.0)) & (lengths <= self.most)
            )
        return chosen


ANY_TIME = TimeFilter()


def allowed_rows(
    tables: Sequence[VideoTable], split: str, labels: Sequence[str], times: TimeFilter
) -> list[np.ndarray] | None:
    """Rows of each table that pass, int64 [video], ascending; None where nothing is left out.

    Raises UnknownNameError for an unknown split, and for a label that no video has; UsageError for
    a split of several datasets.
    """
    if not (split or labels or times.by_flag):
        return None
    if split and len(tables) > 1:
        raise UsageError("--split belongs to one dataset; choose it with --dataset")
    allowed, known = [], set()
    for table in tables:
        rows, names = table.labelled_rows(split)
        known |= set(names)
        if labels:
            rows = rows[np.isin(names, np.array(labels, object))]
        allowed.append(rows[times.has_rows(table)[rows]] if times.by_flag else rows)
    if missing := [label for label in labels if label not in known]:
        raise UnknownNameError("label", missing[0], known - {""})
    return allowed
