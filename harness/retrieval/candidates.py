"""Candidates: videos of several datasets that may answer a query, with their scores, best first."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from harness.retrieval.hits import Match, VideoTable


class Candidates(NamedTuple):
    """Videos by the number of their source and their row in it, best first."""

    sources: np.ndarray
    """int64 [candidate]"""
    rows: np.ndarray
    """int64 [candidate]"""
    scores: np.ndarray
    """float32 [candidate]"""

    @classmethod
    def of(cls, parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> "Candidates":
        """Of each source its rows int64 [row] and their scores [row]; rows below 0, and scores of
        minus infinity, are of no video. Of equal scores the earlier source and row come first."""
        sources = np.repeat(np.arange(len(parts)), [len(rows) for rows, _ in parts])
        rows = np.concatenate([rows for rows, _ in parts])
        scores = np.concatenate([scores for _, scores in parts])
        kept = (rows >= 0) & (scores > -np.inf)
        sources, rows, scores = sources[kept], rows[kept], scores[kept]
        order = np.lexsort((rows, sources, -scores))
        return cls(sources[order], rows[order], scores[order])

    def first(self, count: int) -> "Candidates":
        """The best so many."""
        return Candidates(*(values[:count] for values in self))

    def chosen(self, kept: np.ndarray) -> "Candidates":
        """Those of bool [candidate]."""
        return Candidates(*(values[kept] for values in self))

    @property
    def keys(self) -> list[tuple[int, int]]:
        """Source and row of each."""
        return list(zip(self.sources.tolist(), self.rows.tolist(), strict=True))

    def matches(self) -> list[tuple[int, Match]]:
        """Source of each, and its match."""
        pairs = zip(self.keys, self.scores.tolist(), strict=True)
        return [(source, Match(row, score)) for (source, row), score in pairs]


def per_file(found: Candidates, tables: Sequence[VideoTable], most: int) -> Candidates:
    """The `most` best rows of each file, in their order; 0 for all of them."""
    if not most or not any(tables[number].has_parts for number in np.unique(found.sources)):
        return found
    return found.chosen(few_per_file(found.keys, tables, most))


def few_per_file(
    keys: Sequence[tuple[int, int]], tables: Sequence[VideoTable], most: int
) -> np.ndarray:
    """Which of hits, by source and row, are among the `most` first of their file, bool [hit]; all
    of them for 0."""
    counts: dict[tuple[int, str], int] = {}
    kept = np.ones(len(keys), bool)
    for place, (source, row) in enumerate(keys if most else []):
        file = source, str(tables[source].paths[row])
        counts[file] = counts.get(file, 0) + 1
        kept[place] = counts[file] <= most
    return kept
