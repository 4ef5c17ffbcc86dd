"""Search: the videos, or the moments in them, that are nearest to the embedding of a query.

    searcher = Searcher(store, "vifi-clip@step-2000", dataset="ucf101", split="test1")
    (hits,) = searcher.search(embeddings, k=10)          # embeddings float32 [query dim]

A search has up to three stages: the videos whose vectors are nearest, or answer several terms at
once (`harness/retrieval/combined_queries.py`); the best of these ranked anew by their frames
(`reranking.py`); and their ranks joined with those of the words of a query (`rank_fusion.py`).
"""

from collections.abc import Sequence

import numpy as np

from harness.retrieval.candidates import Candidates, per_file
from harness.retrieval.combined_queries import CosineScale, Queries, Query
from harness.retrieval.hits import Hit
from harness.retrieval.indexing.word_index import bm25
from harness.retrieval.moments.searched_moments import SearchedMoments
from harness.retrieval.rank_fusion import FUSED, reciprocal_ranks
from harness.retrieval.reranking import Rerank, frame_scores
from harness.retrieval.searched_videos import Without, require_hits

# Frames that an index of them is asked for, of each video that is wanted.
_FRAMES_A_VIDEO = 8


class Searcher(SearchedMoments):
    """Searches one feature set, in one dataset or in several that have it."""

    def __repr__(self) -> str:
        """What it searches."""
        datasets = ", ".join(source.dataset.name for source in self.sources)
        return f"<Searcher of {self.name} in {datasets}, {self._kind}>"

    def search(
        self,
        queries: Queries,
        k: int = 10,
        *,
        without: Without | None = None,
        rerank: Rerank | None = None,
        most_per_file: int = 1,
    ) -> list[list[Hit]]:
        """The k best videos of each query, best first; fewer if there are no more.

        Of rows that are stretches of one file the best `most_per_file` are found, 0 for all.

        queries: float32 [query dim], of any length, or `Query`s. without: dataset and row, or rows,
        of a video that is no answer. Raises UsageError for k below 1, queries of another dimension,
        and a rerank of a set without frames.
        """
        require_hits(k, most_per_file)
        asked = self._asked(queries)
        count = max(k, rerank.candidates if rerank else 0)
        if any(query.words for query in asked):
            count = max(count, FUSED)
        found = self._ranked(asked, count, without, rerank)
        # Many stretches of one file may hide those of others.
        while any(self._is_short(one, count, k, most_per_file) for one in found):
            count *= 4
            found = self._ranked(asked, count, without, rerank)
        kept = [per_file(one, self.tables, most_per_file).first(k) for one in found]
        return [self._hits(one.matches()) for one in kept]

    def _ranked(
        self, asked: Sequence[Query], count: int, without: Without | None, rerank: Rerank | None
    ) -> list[Candidates]:
        """The best of each query through all stages, `count` by their vectors."""
        found: dict[int, Candidates] = {}
        plain = [place for place, query in enumerate(asked) if query.is_plain]
        if plain:
            vectors = np.concatenate([asked[place].wanted for place in plain])
            found |= zip(plain, self.nearest(vectors, count, without), strict=True)
        return [
            self._through_stages(query, found.get(place), count, without, rerank)
            for place, query in enumerate(asked)
        ]

    def _through_stages(
        self,
        query: Query,
        nearest: Candidates | None,
        count: int,
        without: Without | None,
        rerank: Rerank | None,
    ) -> Candidates:
        """The best of one query: `nearest` where it is plain."""
        scale = None
        if nearest is None:
            cosines = [self.cosines(number, query.terms) for number in range(len(self.sources))]
            scale = CosineScale.of(cosines)
            nearest = self._answering_all(query, scale, cosines, without).first(count)
        if rerank is not None:
            nearest = self._with_best_frames(query, nearest, without)
            nearest = self._reranked(query, scale, nearest, rerank)
        return self._fused(query, nearest, without) if query.words else nearest

    def _answering_all(
        self,
        query: Query,
        scale: CosineScale,
        cosines: Sequence[np.ndarray],
        without: Without | None,
    ) -> Candidates:
        """Every video that can be found, by its score for several terms: `cosines` of each source
        [term video] are those of all that have an embedding."""
        parts = []
        for number, of_source in enumerate(cosines):
            scores = scale.scores(of_source, query.num_wanted)
            rows = self.rows_searched(number, without)
            parts.append((rows, scores[np.searchsorted(self.flat(number).rows, rows)]))
        return Candidates.of(parts)

    def _with_best_frames(
        self, query: Query, nearest: Candidates, without: Without | None
    ) -> Candidates:
        """The nearest videos, and up to as many that have the nearest frames where an index of
        frames finds these: a long video may answer in a moment, and be far on average."""
        count, parts = len(nearest.rows), []
        for number, index in enumerate(self.frame_indexes):
            rows = nearest.rows[nearest.sources == number]
            if index.kind != "exact" and count:
                allowed = np.zeros(self.sources[number].num_videos, bool)
                allowed[self.rows_searched(number, without)] = True
                wanted = query.terms[: query.num_wanted]
                for of_term in index.search(wanted, _FRAMES_A_VIDEO * count, allowed).rows:
                    having = dict.fromkeys(of_term[of_term >= 0].tolist())
                    rows = np.union1d(rows, list(having)[:count]).astype(np.int64)
            parts.append((rows, np.zeros(len(rows))))
        return Candidates.of(parts)

    def _reranked(
        self, query: Query, scale: CosineScale | None, nearest: Candidates, rerank: Rerank
    ) -> Candidates:
        """The same videos, ranked by their frames."""
        parts = []
        for number, source in enumerate(self.sources):
            rows = nearest.rows[nearest.sources == number]
            cosines = frame_scores(source, rows, query.terms, rerank, self.times)
            parts.append((rows, scale.scores(cosines, query.num_wanted) if scale else cosines[0]))
        return Candidates.of(parts)

    def _fused(self, query: Query, by_vectors: Candidates, without: Without | None) -> Candidates:
        """By reciprocal ranks among the nearest videos, and among those that hold the words."""
        parts = []
        for number, scores in enumerate(bm25(self.word_indexes, query.words)):
            rows = self.rows_searched(number, without)
            rows = rows[scores[rows] > 0]
            parts.append((rows, scores[rows]))
        rankings = by_vectors.keys, Candidates.of(parts).keys
        fused = reciprocal_ranks(rankings)
        sources, rows = np.array([key for key, _ in fused], np.int64).reshape(-1, 2).T
        return Candidates(sources, rows, np.array([score for _, score in fused]))

    def _is_short(self, found: Candidates, count: int, k: int, most_per_file: int) -> bool:
        """Whether more of the videos have to be looked at, for k hits in as many files."""
        kept = per_file(found, self.tables, most_per_file)
        return len(kept.rows) < k and count < self.num_videos and len(kept.rows) < len(found.rows)
