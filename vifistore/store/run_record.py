"""What one writer did: where and with what it ran, which blocks it wrote, what read the videos."""

import uuid
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from vifistore.store.zarr_format.backend import Backend

# A record is written anew with every group of blocks: one of more pairs is gone on with in another.
_MOST_PAIRS = 2048


class RunRecord:
    """A small group of its own below the feature set, so that writers never share a file."""

    def __init__(self, feature_path: str, provenance: dict) -> None:
        self._feature_path, self._provenance = feature_path, provenance
        self.path = f"{feature_path}/runs/{uuid.uuid4().hex[:12]}"
        self._blocks = Spans()
        self._readers: dict[str, Spans] = {}

    def add(self, blocks: Iterable[int]) -> None:
        """Remember blocks; one may come again."""
        for block in blocks:
            self._blocks.add(block)

    def add_readers(self, rows: Iterable[int], readers: Iterable[str]) -> None:
        """Remember what read the videos of some rows; nothing of those that nothing read."""
        for row, reader in zip(rows, readers, strict=True):
            if reader:
                self._readers.setdefault(reader, Spans()).add(row)

    def attributes(self) -> dict:
        """The provenance, the blocks written as [first, last + 1] pairs, and the rows by reader
        likewise, where any were read."""
        readers = {name: rows.pairs for name, rows in sorted(self._readers.items())}
        told = {READERS: readers} if readers else {}
        return {**self._provenance, "blocks": self._blocks.pairs, **told}

    def gone_on_with(self) -> "RunRecord":
        """Itself, or once it is long another one of the same run."""
        is_long = sum(len(rows.pairs) for rows in self._readers.values()) > _MOST_PAIRS
        return RunRecord(self._feature_path, self._provenance) if is_long else self


READERS = "readers"
"""Attribute of a run: what read the videos, and of which rows."""


class Spans:
    """Numbers as ascending [first, last + 1]; they come mostly in order, so that these stay few."""

    def __init__(self) -> None:
        self._pairs: list[list[int]] = []

    @property
    def pairs(self) -> list[list[int]]:
        """[first, last + 1] of each stretch of numbers."""
        return [list(pair) for pair in self._pairs]

    def add(self, number: int) -> None:
        """Take a number in; one may come again."""
        spans = self._pairs
        position = bisect_left(spans, [number + 1])
        if position and number < spans[position - 1][1]:
            return
        joins_before = position > 0 and spans[position - 1][1] == number
        joins_after = position < len(spans) and spans[position][0] == number + 1
        if joins_before and joins_after:
            spans[position - 1][1] = spans.pop(position)[1]
        elif joins_before:
            spans[position - 1][1] = number + 1
        elif joins_after:
            spans[position][0] = number
        else:
            spans.insert(position, [number, number + 1])


def sealed_provenance(runs: Sequence[Mapping]) -> list[dict]:
    """What is kept of the runs with a sealed set: of the rows by reader how many they are."""
    return [{**run, **_counted(run)} for run in runs]


def _counted(run: Mapping) -> dict:
    rows = {
        name: sum(r.stop - r.start for r in _ranges(pairs, None))
        for name, pairs in _readers(run).items()
    }
    return {READERS: rows} if rows else {}


def read_readers(backend: Backend, feature_path: str, num_videos: int) -> np.ndarray:
    """What read the video of each row: object [video] of names, empty where none is known.

    A row that several runs wrote is the later one's.
    """
    found = np.full(num_videos, "", object)
    path = f"{feature_path}/runs"
    runs = [backend.attributes(f"{path}/{run}") for run in backend.children(path)]
    for run in sorted(runs, key=lambda run: str(run.get("started", ""))):
        for name, pairs in _readers(run).items():
            for rows in _ranges(pairs, num_videos):
                found[rows.start : rows.stop] = name
    return found


def count_readers(provenance: Iterable[Mapping]) -> dict[str, int]:
    """How many videos each reader read, by what a sealed set says of its runs."""
    counts: Counter[str] = Counter()
    for run in provenance:
        told = _readers(run).items()
        counts.update({name: count for name, count in told if type(count) is int})
    return dict(sorted(counts.items()))


def _readers(run: Mapping) -> Mapping:
    told = run.get(READERS)
    return told if isinstance(told, dict) else {}


def _ranges(pairs: object, num_videos: int | None) -> Iterator[range]:
    """The rows of [first, last + 1] pairs, as far as there are so many; nothing of what is none."""
    for pair in pairs if isinstance(pairs, list) else ():
        if isinstance(pair, list) and len(pair) == 2 and all(type(n) is int for n in pair):
            first, stop = max(pair[0], 0), pair[1]
            yield range(first, max(first, stop if num_videos is None else min(stop, num_videos)))


def neighbours(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The first and last of each stretch of ascending numbers that follow one another."""
    first, last = None, 0
    for number in numbers:
        if first is not None and number != last + 1:
            yield first, last
            first = None
        first = number if first is None else first
        last = number
    if first is not None:
        yield first, last
