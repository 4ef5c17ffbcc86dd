"""Timelines: the rows of a feature set that lie in one file, and its frames in the order of time.

    timelines = Timelines(features)                    # every video that is done
    best = timelines.best(queries)                     # float32 [query file]
    for file, curve in timelines.curves(files, queries): ...

Rows of one path are stretches of one video. Frames that only pad a view are left out; crops share
their times, and so do stretches that overlap: a time that is there more than once counts once, with
its largest cosine.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from harness.frame_cosines import frame_cosines
from harness.reaching import known_stretches, reach
from harness.vector_reading import READ_BYTES, done_rows, read_frames, require_usable
from vifistore.errors import DamagedError
from vifistore.store.feature_record import NUM_VALID
from vifistore.store.features import Features
from vifistore.store.pooling import counted_frames

# Of a number of a frame: float16.
_FRAME_BYTES = 2
# Of so many frames and queries the cosines take 64 mebibytes.
_MAX_COSINES = 2**24

Join = Callable[[np.ndarray], np.ndarray]
"""From cosines with several queries, float32 [query ...], to one score: [...]."""

QueriesOf = Callable[[int], np.ndarray]
"""Queries of a file, by its number: float32 [query dim] of unit length."""


@dataclass(frozen=True, kw_only=True)
class ScoreCurve:
    """How well the frames of one file answer queries, in the order of time."""

    times: np.ndarray
    """float64 [time]: seconds from the start of the file, ascending; each once."""
    cosines: np.ndarray
    """float32 [query time]: of the frames at a time the largest."""
    rows: np.ndarray
    """int64 [time]: a row of the dataset that has a frame of this time, the first in the file."""
    begins: np.ndarray
    """float64 [time]: seconds at which the stretch around each time begins, see `reach`."""
    ends: np.ndarray
    """float64 [time]: and ends. It is where the next one begins, unless between them lies what no
    row holds."""

    def of_row(self, row: int) -> Self:
        """The part of it that is of the times of a row."""
        here = self.rows == row
        values = {name: getattr(self, name)[here] for name in ("times", "rows", "begins", "ends")}
        return replace(self, **values, cosines=self.cosines[:, here])


class Timelines:
    """The rows of a feature set by the file they lie in, in the order of time.

    A file is told by its number: that of its first row among all, from 0.
    """

    def __init__(
        self,
        features: Features,
        rows: np.ndarray | None = None,
        within: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        """`rows` int64 [row] are those that count; None for all that are done, which they must be.
        `within` says of frames, by their seconds [...], which count, bool [...]; rows that have
        none of these do not.

        Raises UsageError for a feature set without frames or their times.
        """
        self._shape = features.require_array("frames").shape
        features.require_array("timestamps")
        self.features = features
        self._within = within
        rows = done_rows(features) if rows is None else np.unique(rows)
        rows = rows if within is None else self._rows_within(rows)
        names = ("path", "start_seconds", "end_seconds", "duration_seconds")
        columns = features.dataset.columns_at_once(*names)
        numbers: dict[str, int] = {}
        paths = columns["path"][rows].tolist()
        files = np.array([numbers.setdefault(path, len(numbers)) for path in paths], np.int64)
        order = np.lexsort((rows, columns["start_seconds"][rows], files))
        self.paths = list(numbers)
        """Of each file its path in the dataset."""
        self.rows = rows[order]
        """int64 [row]: those of a file together, in the order of time."""
        self.edges = np.searchsorted(files[order], np.arange(len(numbers) + 1))
        """int64 [file + 1]: the rows of file f are `rows[edges[f]:edges[f + 1]]`."""
        self._stretches = known_stretches(columns)

    def __len__(self) -> int:
        """How many files there are."""
        return len(self.paths)

    def __repr__(self) -> str:
        """What it is of, and of how many files."""
        return f"<Timelines of {len(self)} files, {len(self.rows)} rows of {self.features.name}>"

    @property
    def num_bytes(self) -> int:
        """Of all frames of these rows, as they are stored."""
        return len(self.rows) * int(np.prod(self._shape[1:])) * _FRAME_BYTES

    @cached_property
    def file_of(self) -> np.ndarray:
        """int64 [row of the dataset]: the file each lies in; -1 for rows that do not count."""
        files = np.full(self.features.num_videos, -1, np.int64)
        files[self.rows] = np.repeat(np.arange(len(self)), np.diff(self.edges))
        return files

    def rows_of(self, file: int) -> np.ndarray:
        """Rows of a file in the order of time, int64 [row]."""
        return self.rows[self.edges[file] : self.edges[file + 1]]

    def rows_between(self, row: int, start: float, end: float) -> np.ndarray:
        """Rows of the file of `row` that lie in part between two of its seconds, int64 [row]."""
        rows = self.rows_of(int(self.file_of[row]))
        starts, ends = self._stretches[rows].T
        return rows[~(starts > end) & ~(ends < start)]

    def best(self, queries: np.ndarray, join: Join | None = None) -> np.ndarray:
        """The largest cosine of each file's frames and each query, float32 [query file]; or what
        `join` makes of the cosines of a frame with all queries, [1 file].

        queries: float32 [query dim] of unit length. Every cached frame is read. Raises DamagedError
        for embeddings that do not match their checksum, are zero or not finite.
        """
        best = np.full((1 if join else len(queries), len(self)), -np.inf, np.float32)
        for positions, frames, counts in self._frames(self.rows):
            files = np.searchsorted(self.edges, positions, side="right") - 1
            for part in _parts(frames, len(queries)):
                cosines = self._cosines(
                    frames[part], counts[part], self.rows[positions[part]], queries
                )
                if join is not None:
                    cosines = join(np.moveaxis(cosines, -1, 0))[..., None]
                cosines = cosines.max(axis=(1, 2))
                order = np.argsort(files[part], kind="stable")
                seen, first = np.unique(files[part][order], return_index=True)
                largest = np.maximum.reduceat(cosines[order].T, first, axis=1)
                best[:, seen] = np.maximum(best[:, seen], largest)
        return best

    def curves(
        self, files: Sequence[int], queries: np.ndarray | QueriesOf, *, verify: bool = True
    ) -> Iterator[tuple[int, ScoreCurve]]:
        """Yield the curve of each of `files`, in their order, each once.

        queries: float32 [query dim] of unit length, or what gives those of a file. Frames are read
        in parts of some tens of mebibytes: what is held of a file is its curve, not its vectors.
        Without `verify` only the rows of these files are read and damage goes unnoticed. Raises
        DamagedError as `best` does, and for times that are not finite.
        """
        of_file = queries if callable(queries) else lambda _: queries
        for batch in self._batches(files):
            rows = np.concatenate([self.rows_of(file) for file in batch])
            parts: dict[int, list[_Part]] = {file: [] for file in batch}
            for positions, frames, counts in self._frames(rows, verify=verify):
                here = rows[positions]
                seconds = self._seconds(here, counts, verify=verify)
                shares = self._by_file(here)
                # Of queries that all files share the product is one.
                cosines = None
                if not callable(queries):
                    cosines = self._cosines(frames, counts, here, queries)
                for file, share in shares.items():
                    inside = counts[share]
                    if cosines is None:
                        asked = of_file(file)
                        of_share = self._cosines(frames[share], inside, here[share], asked)
                    else:
                        of_share = cosines[share]
                    at = np.repeat(positions[share], inside.sum(axis=(1, 2)))
                    parts[file].append(_Part(seconds[share][inside], of_share[inside].T, at))
            for file in batch:
                yield file, _joined(parts[file], rows, self._stretches)

    def _by_file(self, rows: np.ndarray) -> dict[int, np.ndarray]:
        """Which of `rows` [row] lie in each file, int64 [position]."""
        owners = self.file_of[rows]
        order = np.argsort(owners, kind="stable")
        files, firsts = np.unique(owners[order], return_index=True)
        return dict(zip(files.tolist(), np.split(order, firsts[1:]), strict=True))

    def _batches(self, files: Sequence[int]) -> Iterator[list[int]]:
        """Files whose frames are read in one go; one in any case."""
        most = max(1, READ_BYTES // (int(np.prod(self._shape[1:])) * _FRAME_BYTES))
        batch, held = [], 0
        for file in dict.fromkeys(map(int, files)):
            count = len(self.rows_of(file))
            if batch and held + count > most:
                yield batch
                batch, held = [], 0
            batch.append(file)
            held += count
        if batch:
            yield batch

    def _cosines(
        self, frames: np.ndarray, counts: np.ndarray, rows: np.ndarray, queries: np.ndarray
    ) -> np.ndarray:
        """Cosines of frames [row view frame dim] of `rows` with queries [query dim], float32 [row
        view frame query]; minus infinity of frames that do not count."""
        flat, usable = frame_cosines(frames.reshape(-1, frames.shape[-1]), queries)
        require_usable(usable.reshape(counts.shape) | ~counts, rows, self.features, "frames")
        cosines = flat.reshape(*counts.shape, -1)
        cosines[~counts] = -np.inf
        return cosines

    def _frames(
        self, rows: np.ndarray, *, verify: bool = True
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """As `read_frames`; those that are not within the seconds do not count."""
        for positions, frames, counts in read_frames(self.features, rows, verify=verify):
            if self._within is not None:
                seconds = self._seconds(rows[positions], counts, verify=verify)
                counts = counts & self._within(seconds)
            yield positions, frames, counts

    def _rows_within(self, rows: np.ndarray) -> np.ndarray:
        """Those of some rows that have a frame within the seconds."""
        assert self._within is not None
        num_frames = self.features.require_array("frames").shape[2]
        counts = counted_frames(self.features.read_chosen(NUM_VALID, rows), num_frames)
        inside = counts & self._within(self._seconds(rows, counts, verify=True))
        return rows[inside.any(axis=(1, 2))]

    def _seconds(self, rows: np.ndarray, counts: np.ndarray, *, verify: bool) -> np.ndarray:
        """Times of the frames of rows, float64 [row view frame]."""
        seconds = self.features.read_chosen("timestamps", rows, verify=verify).astype(np.float64)
        wrong = (~np.isfinite(seconds) & counts).any(axis=(1, 2))
        if wrong.any():
            raise DamagedError(
                f"feature set {self.features.name} of {self.features.dataset}: timestamps of "
                f"{int(wrong.sum())} videos (first: row {int(rows[wrong.argmax()])}) are not "
                "finite; find out more with `vifi verify`, or import the set with times"
            )
        return seconds


@dataclass(frozen=True)
class _Part:
    """Some frames of a file, in any order."""

    seconds: np.ndarray
    """float64 [frame]"""
    cosines: np.ndarray
    """float32 [query frame]"""
    positions: np.ndarray
    """int64 [frame]: which of the rows that are read each is of."""


def _joined(parts: Sequence[_Part], rows: np.ndarray, stretches: np.ndarray) -> ScoreCurve:
    """One curve of all frames of a file; `rows` [row] are those that are read, `stretches` as
    `known_stretches` gives them."""
    seconds = np.concatenate([part.seconds for part in parts])
    cosines = np.concatenate([part.cosines for part in parts], axis=1)
    positions = np.concatenate([part.positions for part in parts])
    # At one time the row that comes first in the file is the first of its frames.
    order = np.lexsort((positions, seconds))
    times, first = np.unique(seconds[order], return_index=True)
    owners = rows[positions[order][first]]
    begins, ends = reach(times, stretches[owners])
    return ScoreCurve(
        times=times,
        cosines=np.maximum.reduceat(cosines[:, order], first, axis=1),
        rows=owners,
        begins=begins,
        ends=ends,
    )


def _parts(frames: np.ndarray, num_queries: int) -> Iterator[slice]:
    """Slices of frames [row view frame dim] whose cosines with so many queries fit in memory."""
    per_row = int(np.prod(frames.shape[1:3])) * max(num_queries, 1)
    step = max(1, _MAX_COSINES // per_row)
    return (slice(start, start + step) for start in range(0, len(frames), step))
