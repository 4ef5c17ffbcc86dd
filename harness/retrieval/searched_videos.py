"""What a search goes through: feature sets, the filter before them, and the index of each.

Filters are exact: what they leave out is not looked at, and what they leave is searched in full.
"""

import copy
import logging
from collections.abc import Sequence
from functools import cached_property
from typing import Literal, NamedTuple, Self

import numpy as np

from harness.fusion import is_usable, unit
from harness.retrieval.candidates import Candidates
from harness.retrieval.combined_queries import Queries, Query
from harness.retrieval.filters import ANY_TIME, TimeFilter, allowed_rows
from harness.retrieval.hits import VideoTable
from harness.retrieval.indexing.index_choice import choose_index
from harness.retrieval.indexing.indexes import Index, Kind, open_index
from harness.retrieval.searched_sets import choose_sources, named
from harness.retrieval.stretch_vectors import NamedStretch, stretch_of, stretch_vector
from harness.scoring import checkpoint_of
from vifistore.errors import UnknownNameError, UsageError
from vifistore.store.store import Store

logger = logging.getLogger("vifi")

# Dataset and row, or rows, of what is no answer: the video that was asked with.
Without = tuple[str, int | np.ndarray]


class Like(NamedTuple):
    """A video, or a stretch of one, that others are to be like."""

    dataset: str
    rows: np.ndarray
    """int64 [row]: what it is, and thus is no answer."""
    vector: np.ndarray
    """float32 [dim], of unit length."""


class SearchedVideos:
    """One feature set, in one dataset or in several, behind a filter."""

    def __init__(
        self,
        store: Store,
        features: str = "",
        *,
        dataset: str | Sequence[str] = "",
        split: str = "",
        label: str | Sequence[str] = "",
        times: TimeFilter = ANY_TIME,
        kind: Kind | Literal["auto"] = "flat",
    ) -> None:
        """Of several datasets each is searched, of several labels a video has any. By `auto` the
        kind of index is that of `choose_index`, and told in the log.

        Raises what `choose_sources` does, UnknownNameError for an unknown split or label, and
        UsageError for a split without a dataset where there are several.
        """
        self._store = store
        self.sources = choose_sources(store, features, dataset)
        self._kind: Kind = self._chosen() if kind == "auto" else kind
        self.tables = [VideoTable(features.dataset) for features in self.sources]
        self.times = times
        self._allowed = allowed_rows(self.tables, split, named(label), times)
        self._flat: dict[int, Index] = {}

    def _chosen(self) -> Kind:
        kind, reason = choose_index(self._store.cache_folder, self.sources)
        if reason:
            logger.info("%s", reason)
        return kind

    def narrowed(
        self, *, split: str = "", label: str | Sequence[str] = "", times: TimeFilter = ANY_TIME
    ) -> Self:
        """The same sources, with the same tables and indexes in memory, behind another filter.

        Raises what the constructor does for a split and a label.
        """
        allowed = allowed_rows(self.tables, split, named(label), times)
        # Read once, for the copy and for those made after it.
        _ = self.indexes
        other = copy.copy(self)
        other._allowed, other.times = allowed, times
        for name in ("masks", "num_videos", "timelines"):
            vars(other).pop(name, None)
        return other

    @property
    def name(self) -> str:
        """Name, or id, of the feature set that is searched."""
        return self.sources[0].name

    @cached_property
    def checkpoint(self) -> dict:
        """The checkpoint whose text tower encodes queries.

        Raises UsageError if the feature set has no name, or several checkpoints share it.
        """
        return checkpoint_of(self.sources[0])

    @cached_property
    def indexes(self) -> list[Index]:
        """The index of each source."""
        folder = self._store.cache_folder
        return [open_index(folder, features, self._kind) for features in self.sources]

    @cached_property
    def masks(self) -> list[np.ndarray | None]:
        """Of each index, which vectors may be found, bool [vector]; None for all."""
        return [
            None if self._allowed is None else np.isin(index.rows, self._allowed[number])
            for number, index in enumerate(self.indexes)
        ]

    @cached_property
    def num_videos(self) -> int:
        """Videos that can be found."""
        pairs = zip(self.indexes, self.masks, strict=True)
        return sum(len(i.rows) if mask is None else int(mask.sum()) for i, mask in pairs)

    def rows_searched(self, number: int, without: Without | None = None) -> np.ndarray:
        """Rows of a source that can be found, int64 [row], ascending."""
        rows, mask = self.indexes[number].rows, self.masks[number]
        rows = rows if mask is None else rows[mask]
        return rows[self._are_answers(number, rows, without)]

    def nearest(
        self, vectors: np.ndarray, count: int, without: Without | None = None
    ) -> list[Candidates]:
        """The `count` nearest videos of each of `vectors`, float32 [vector dim] of unit length."""
        left_out = 0 if without is None else np.size(without[1])
        # More, for what is left out; no more than there are.
        looked_at = min(count + left_out, max(self.num_videos, 1))
        parts = [[] for _ in vectors]
        for number in range(len(self.sources)):
            mask = self.masks[number]
            index = self.indexes[number] if mask is None else self.flat(number)
            for part, cosines, rows in zip(
                parts, *index.search(vectors, looked_at, mask), strict=True
            ):
                kept = self._are_answers(number, rows, without)
                part.append((rows[kept], cosines[kept]))
        return [Candidates.of(part).first(count) for part in parts]

    def cosines(self, number: int, vectors: np.ndarray) -> np.ndarray:
        """Cosines of every video of a source that has an embedding, filters aside, with `vectors`
        [vector dim] of unit length: float32 [vector video], in the order of the rows of `flat`."""
        index = self.flat(number)
        found, rows = index.search(vectors, len(index.rows))
        return np.take_along_axis(found, np.argsort(rows, axis=1), axis=1)

    def flat(self, number: int) -> Index:
        """The exact index of a source: an approximate one may miss what a narrow filter leaves."""
        index = self.indexes[number]
        if index.kind == "flat":
            return index
        if number not in self._flat:
            self._flat[number] = open_index(self._store.cache_folder, self.sources[number])
        return self._flat[number]

    def vector_of(self, dataset: str, row: int) -> np.ndarray:
        """The vector of a video, float32 [dim]. Raises UsageError if it has none."""
        return self.indexes[self.number_of(dataset)].vector(row)

    def label_of(self, dataset: str, row: int) -> str:
        """The label of a video; empty if it has none."""
        return str(self.tables[self.number_of(dataset)].labels[row])

    def number_of(self, dataset: str) -> int:
        """Number of the source of a dataset. Raises UnknownNameError if it is not searched."""
        known = [source.dataset.name for source in self.sources]
        if dataset not in known:
            raise UnknownNameError("dataset", dataset, known)
        return known.index(dataset)

    def find_video(self, video: str) -> tuple[str, int]:
        """Dataset and row of a video by its id, its path, or DATASET/ID.

        Raises UnknownNameError if none or UsageError if several datasets have it.
        """
        dataset, rows = self.find_rows(video)
        return dataset, int(rows[0])

    def find_rows(self, video: str) -> tuple[str, np.ndarray]:
        """Dataset and rows, int64 [row], of a video by its id, of a file by its path, or of either
        behind `DATASET/`. Raises as `find_video`."""
        having = {table.dataset.name: table.rows_of(video) for table in self.tables}
        having = {dataset: rows for dataset, rows in having.items() if len(rows)}
        if not having:
            known = [str(name) for table in self.tables for name in table.ids]
            raise UnknownNameError("video", video, known)
        if len(having) > 1:
            raise UsageError(f"{video} is in {', '.join(having)}; choose one with --dataset")
        return next(iter(having.items()))

    def like(self, video: str) -> Like:
        """A video of the store as a query: by its id, a file by its path, either behind `DATASET/`,
        or with the seconds of a stretch of its file, `VIDEO@START-END`.

        Raises as `find_video`, and UsageError for what has no embedding.
        """
        try:
            dataset, rows = self.find_rows(video)
        except UnknownNameError:
            if (stretch := stretch_of(video)) is None:
                raise
            return self._like_stretch(stretch)
        index = self.indexes[self.number_of(dataset)]
        embedded = rows[np.isin(rows, index.rows)]
        # Of none that has an embedding, the first one says so.
        vectors = [index.vector(row) for row in (embedded if len(embedded) else rows[:1])]
        return Like(dataset, rows, unit(np.mean(vectors, axis=0)))

    def _like_stretch(self, stretch: NamedStretch) -> Like:
        dataset, rows = self.find_rows(stretch.video)
        number = self.number_of(dataset)
        table = self.tables[number]
        rows = np.flatnonzero(table.paths == table.paths[rows[0]])
        starts, ends = table.stretches[rows].T
        rows = rows[(starts < stretch.end) & ~(ends <= stretch.start)]
        embedded = rows[np.isin(rows, self.indexes[number].rows)]
        if not len(embedded):
            raise UsageError(
                f"{stretch.video} has no embedding from {stretch.start:g} to {stretch.end:g} "
                "seconds; give another stretch, and see vifi info S --quarantine"
            )
        return Like(dataset, rows, stretch_vector(self.sources[number], embedded, stretch))

    def checked(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors [vector dim] of any length, or one, at unit length: float32 [vector dim].

        Raises UsageError for those of another dimension and for one that is none.
        """
        vectors = np.atleast_2d(np.asarray(vectors, np.float32))
        dim = self.indexes[0].faiss.d
        if vectors.shape[1] != dim:
            raise UsageError(
                f"the query has {vectors.shape[1]} dimensions, feature set {self.name} has {dim}; "
                "it was made by another model, so choose another one with --features"
            )
        if not is_usable(vectors).all():
            raise UsageError("the query's embedding is zero or not finite; give another query")
        return unit(vectors)

    def _asked(self, queries: Queries) -> list[Query]:
        """Queries with terms of unit length."""
        if isinstance(queries, np.ndarray):
            return [Query(wanted=vector[None]) for vector in self.checked(queries)]
        return [
            Query(
                wanted=self.checked(query.terms)[: query.num_wanted],
                unwanted=self.checked(query.terms)[query.num_wanted :],
                words=query.words,
            )
            for query in queries
        ]

    def _are_answers(
        self, number: int, rows: np.ndarray, without: Without | None
    ) -> np.ndarray | slice:
        """Which of some rows of a source are none of those left out, bool [row]; or all."""
        if without is None or without[0] != self.sources[number].dataset.name:
            return slice(None)
        return ~np.isin(rows, without[1])


def require_hits(k: int, most_per_file: int) -> None:
    """Raise UsageError for numbers of hits that are none."""
    if k < 1:
        raise UsageError(f"k is {k}; give 1 or more hits")
    if most_per_file < 0:
        raise UsageError(f"{most_per_file} hits of a file are none; give 1 or more, 0 for all")
