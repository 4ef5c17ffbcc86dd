"""Search: the videos, or the moments in them, that are nearest to the embedding of a query.

    searcher = Searcher(store, "vifi-clip@step-2000", dataset="ucf101", split="test1")
    (hits,) = searcher.search(embeddings, k=10)          # embeddings float32 [query dim]

Filters are exact: what they leave out is not looked at, and what they leave is searched in full.
"""

import copy
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from harness.fusion import is_usable, unit
from harness.retrieval.filters import ANY_TIME, TimeFilter, allowed_rows
from harness.retrieval.frame_index import FrameIndex, open_frame_index
from harness.retrieval.hits import Hit, Match, VideoTable
from harness.retrieval.indexes import Index, Kind, open_index
from harness.retrieval.moments import find_moments
from harness.retrieval.proposals import HALF_WAY
from harness.retrieval.searched_sets import choose_sources, named
from harness.scoring import checkpoint_of
from harness.timelines import Timelines
from vifistore.errors import UnknownNameError, UsageError
from vifistore.store.store import Store

# Matches of one query, each with the number of its source.
Matches = list[tuple[int, Match]]


class Searcher:
    """Searches one feature set, in one dataset or in all that have it."""

    def __init__(
        self,
        store: Store,
        features: str = "",
        *,
        dataset: str | Sequence[str] = "",
        split: str = "",
        label: str | Sequence[str] = "",
        times: TimeFilter = ANY_TIME,
        kind: Kind = "flat",
    ) -> None:
        """Of several datasets each is searched, of several labels a video has any.

        Raises what `choose_sources` does, UnknownNameError for an unknown split or label, and
        UsageError for a split without a dataset where there are several.
        """
        self._store = store
        self.sources = choose_sources(store, features, dataset)
        self._kind: Kind = kind
        self.tables = [VideoTable(features.dataset) for features in self.sources]
        self._times = times
        self._allowed = allowed_rows(self.tables, split, named(label), times)

    def __repr__(self) -> str:
        """What it searches."""
        datasets = ", ".join(source.dataset.name for source in self.sources)
        return f"<Searcher of {self.name} in {datasets}, {self._kind}>"

    def narrowed(
        self, *, split: str = "", label: str | Sequence[str] = "", times: TimeFilter = ANY_TIME
    ) -> "Searcher":
        """The same sources, with the same tables and indexes in memory, behind another filter.

        Raises what the constructor does for a split and a label.
        """
        allowed = allowed_rows(self.tables, split, named(label), times)
        # Read once, for the copy and for those made after it.
        _ = self.indexes
        other = copy.copy(self)
        other._allowed, other._times = allowed, times
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

    def search(
        self, queries: np.ndarray, k: int = 10, *, without: tuple[str, int] | None = None
    ) -> list[list[Hit]]:
        """The k nearest videos of each query, best first; fewer if there are no more.

        queries: float32 [query dim], of any length. without: dataset and row of a video that is
        no answer. Raises UsageError for k below 1 and queries of another dimension.
        """
        queries = self._checked(queries, k)
        # One more, for the video that is left out; no more than there are.
        count = min(k + 1, max(self.num_videos, 1))
        matches: list[Matches] = [[] for _ in queries]
        for number, source in enumerate(self.sources):
            mask = self.masks[number]
            index = self.indexes[number] if mask is None else self._flat(number)
            cosines, rows = index.search(queries, count, mask)
            for query, pairs in enumerate(zip(cosines, rows, strict=True)):
                matches[query] += [
                    (number, Match(int(row), float(cosine)))
                    for cosine, row in zip(*pairs, strict=True)
                    if row >= 0 and (source.dataset.name, int(row)) != without
                ]
        return [self._hits(of_query, k) for of_query in matches]

    def moments(
        self,
        queries: np.ndarray,
        k: int = 10,
        *,
        without: tuple[str, int] | None = None,
        proposal: str = HALF_WAY,
    ) -> list[list[Hit]]:
        """The k best stretches of videos for each query (see `harness.retrieval.moments`), each
        with the curve of its file.

        queries: float32 [query dim]. proposal: a rule of `harness.retrieval.proposals`. Raises
        UsageError for a feature set without frames, and what `search` raises.
        """
        queries = self._checked(queries, k)
        matches: list[Matches] = [[] for _ in queries]
        for number, source in enumerate(self.sources):
            timelines = self.timelines[number]
            if without and without[0] == source.dataset.name:
                timelines = Timelines(source, timelines.rows[timelines.rows != without[1]])
            found = find_moments(
                timelines, queries, k, proposal=proposal, index=self.frame_indexes[number]
            )
            for query, moments in enumerate(found):
                matches[query] += [(number, moment) for moment in moments]
        return [self._hits(of_query, k) for of_query in matches]

    @cached_property
    def timelines(self) -> list[Timelines]:
        """Of each source, the rows that may be found, by the files they lie in."""
        rows = [index.rows for index in self.indexes]
        return [
            Timelines(source, of_source if mask is None else of_source[mask])
            for source, of_source, mask in zip(self.sources, rows, self.masks, strict=True)
        ]

    @cached_property
    def frame_indexes(self) -> list[FrameIndex]:
        """What finds the frames of each source."""
        return [open_frame_index(self._store.cache_folder, source) for source in self.sources]

    def find_video(self, video: str) -> tuple[str, int]:
        """Dataset and row of a video by its id, its path, or DATASET/ID.

        Raises UnknownNameError if none or UsageError if several datasets have it.
        """
        rows = {table.dataset.name: table.row_of(video) for table in self.tables}
        having = [(dataset, row) for dataset, row in rows.items() if row is not None]
        if not having:
            known = [str(name) for table in self.tables for name in table.ids]
            raise UnknownNameError("video", video, known)
        if len(having) > 1:
            names = ", ".join(dataset for dataset, _ in having)
            raise UsageError(f"{video} is in {names}; choose one with --dataset")
        return having[0]

    def vector_of(self, dataset: str, row: int) -> np.ndarray:
        """The vector of a video, float32 [dim]. Raises UsageError if it has none."""
        return self.indexes[self._number(dataset)].vector(row)

    def label_of(self, dataset: str, row: int) -> str:
        """The label of a video; empty if it has none."""
        return str(self.tables[self._number(dataset)].labels[row])

    def _number(self, dataset: str) -> int:
        """Number of the source of a dataset. Raises UnknownNameError if it is not searched."""
        known = [source.dataset.name for source in self.sources]
        if dataset not in known:
            raise UnknownNameError("dataset", dataset, known)
        return known.index(dataset)

    def _flat(self, number: int) -> Index:
        """The exact index of a source: an approximate one may miss what a narrow filter leaves."""
        index = self.indexes[number]
        if index.kind == "flat":
            return index
        return open_index(self._store.cache_folder, self.sources[number])

    def _checked(self, queries: np.ndarray, k: int) -> np.ndarray:
        if k < 1:
            raise UsageError(f"k is {k}; give 1 or more hits")
        queries = np.atleast_2d(np.asarray(queries, np.float32))
        dim = self.indexes[0].faiss.d
        if queries.shape[1] != dim:
            raise UsageError(
                f"the query has {queries.shape[1]} dimensions, feature set {self.name} has {dim}; "
                "it was made by another model, so choose another one with --features"
            )
        if not is_usable(queries).all():
            raise UsageError("the query's embedding is zero or not finite; give another query")
        return unit(queries)

    def _hits(self, matches: Matches, k: int) -> list[Hit]:
        """The k best, ranked; of equal scores the earlier dataset and row come first."""

        def order(match: tuple[int, Match]) -> tuple:
            number, found = match
            return -found.score, number, found.row, found.start_seconds or 0.0

        best = sorted(matches, key=order)[:k]
        return [self.tables[n].hit(rank, match) for rank, (n, match) in enumerate(best, start=1)]
