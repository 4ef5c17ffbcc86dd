"""Moments of the videos that are searched, through the same stages as whole videos.

    (hits,) = searcher.moments([Query(wanted=vectors_of("a dog", "snow"))], k=10)

Several terms are asked of one time together: a frame's cosines become one score as those of a video
do (`combined_queries.py`), by mean and deviation over the vectors of all videos, and a rule draws
moments of that curve. A rerank ranks the best moments anew by their own frames (`reranking.py`).
Words say which row answers and not when: the best moment of each row has the rank of the row's
captions, label and id, joined with its rank among all moments (`rank_fusion.py`).
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import compress

import numpy as np

from harness.retrieval.candidates import few_per_file
from harness.retrieval.combined_queries import CosineScale, JoinedQuery, Queries, Query
from harness.retrieval.hits import Hit, Match
from harness.retrieval.indexing.frame_index import FrameIndex, open_frame_index
from harness.retrieval.indexing.word_files import open_words
from harness.retrieval.indexing.word_index import WordIndex, bm25
from harness.retrieval.moments.moments import (
    FILES_A_TERM,
    FilesCompared,
    best_moments,
    find_joined,
    find_moments,
)
from harness.retrieval.moments.proposals import HALF_WAY
from harness.retrieval.rank_fusion import FUSED, reciprocal_ranks
from harness.retrieval.reranking import Rerank, span_score
from harness.retrieval.searched_videos import SearchedVideos, Without, require_hits
from harness.timelines import Timelines

# A moment, and the number of the source that it is of.
Found = tuple[int, Match]


class SearchedMoments(SearchedVideos):
    """What finds moments in one feature set, in one dataset or in several that have it."""

    def moments(
        self,
        queries: Queries,
        k: int = 10,
        *,
        without: Without | None = None,
        proposal: str = HALF_WAY,
        most_per_file: int = 0,
        rerank: Rerank | None = None,
        files_a_term: int = FILES_A_TERM,
        compared: Sequence[FilesCompared] = (),
    ) -> list[list[Hit]]:
        """The k best stretches of videos for each query (see `moments`), each
        with the curve of its file; the best `most_per_file` of each file, 0 for all.

        queries: float32 [query dim], or `Query`s. proposal: a rule of `proposals`. rerank: how the
        best `candidates` moments are ranked anew by their own frames.
        files_a_term: see `moments.find_joined`. compared: one for each query,
        of how many files its frames were compared; of a query of one term it stays 0. Raises
        UsageError for a feature set without frames, and what `search` raises.
        """
        require_hits(k, most_per_file)
        asked = self._asked(queries)
        count = max(k, rerank.candidates if rerank else 0)
        if any(query.words for query in asked):
            count = max(count, FUSED)
        while True:
            told = [FilesCompared() for _ in asked]
            how = {"files_a_term": files_a_term, "told": told}
            staged = self._staged(asked, count, without, proposal, rerank, **how)
            kept = [self._few_per_file(one, most_per_file)[:k] for one, _ in staged]
            # Many moments of one file may hide those of others.
            if all(len(a) == k or is_all for a, (_, is_all) in zip(kept, staged, strict=True)):
                for one, found in zip(compared, told, strict=False):
                    one.add(found.files, found.of)
                return [self._hits(one) for one in kept]
            count *= 4

    def _staged(
        self,
        asked: Sequence[Query],
        count: int,
        without: Without | None,
        proposal: str,
        rerank: Rerank | None,
        *,
        files_a_term: int,
        told: Sequence[FilesCompared],
    ) -> list[tuple[list[Found], bool]]:
        """The best moments of each query through all stages, `count` by their frames, and whether
        these are all that there are."""
        how = {"files_a_term": files_a_term, "told": told}
        found = self._nearest_moments(asked, count, without, proposal, **how)
        staged = []
        for query, moments in zip(asked, found, strict=True):
            is_all, joined = len(moments) < count, self._joined(query)
            if rerank is not None:
                moments = self._moments_reranked(joined, moments, without, rerank)
            if query.words:
                moments = self._moments_fused(query, joined, moments, without, proposal)
            staged.append((moments, is_all))
        return staged

    def joined(self, query: Query) -> JoinedQuery:
        """How the cosines of a query become one score. Raises UsageError as `search` does."""
        (checked,) = self._asked([query])
        return self._joined(checked)

    def _joined(self, query: Query) -> JoinedQuery:
        """As `joined`, of terms of unit length."""
        if query.is_plain:
            return JoinedQuery(terms=query.terms, num_wanted=1)
        cosines = [self.cosines(number, query.terms) for number in range(len(self.sources))]
        scale = CosineScale.of(cosines)
        return JoinedQuery(terms=query.terms, num_wanted=query.num_wanted, scale=scale)

    def _nearest_moments(
        self,
        asked: Sequence[Query],
        k: int,
        without: Without | None,
        proposal: str,
        *,
        files_a_term: int,
        told: Sequence[FilesCompared],
    ) -> list[list[Found]]:
        """The k best moments of each query by its frames, best first."""
        found: list[list[Found]] = [[] for _ in asked]
        of_one = [place for place, query in enumerate(asked) if query.is_plain]
        of_several = [place for place, query in enumerate(asked) if not query.is_plain]
        for number in range(len(self.sources)):
            timelines = self._timelines_without(number, without)
            # An index of frames does not know their seconds.
            index = None if self.times.bounds_frames else self.frame_indexes[number]
            how = {"proposal": proposal, "index": index}
            if of_one:
                vectors = np.concatenate([asked[place].wanted for place in of_one])
                for place, moments in zip(
                    of_one, find_moments(timelines, vectors, k, **how), strict=True
                ):
                    found[place] += self._of_source(number, moments)
            for place in of_several:
                of_terms = {"files_a_term": files_a_term, "compared": told[place]}
                joined = self._joined(asked[place])
                moments = find_joined(timelines, joined, k, **how, **of_terms)
                found[place] += self._of_source(number, moments)
        return [sorted(of_query, key=_by_score)[:k] for of_query in found]

    def _of_source(self, number: int, moments: Sequence[Match]) -> list[Found]:
        return [(number, self._bounded(moment)) for moment in moments]

    def _bounded(self, moment: Match) -> Match:
        """A moment within the seconds that are searched: its outer frames reach outwards."""
        assert moment.start_seconds is not None
        assert moment.end_seconds is not None
        start = max(moment.start_seconds, self.times.begin)
        return moment._replace(
            start_seconds=start, end_seconds=max(start, min(moment.end_seconds, self.times.end))
        )

    def _moments_reranked(
        self, joined: JoinedQuery, moments: Sequence[Found], without: Without | None, rerank: Rerank
    ) -> list[Found]:
        """The same moments, ranked by their own frames."""
        numbers = {number for number, _ in moments}
        timelines = {number: self._timelines_without(number, without) for number in numbers}
        scored = []
        for number, moment in moments:
            span = _span(moment)
            rows = timelines[number].rows_between(moment.row, *span)
            source = self.sources[number]
            of_terms = span_score(source, rows, joined.terms, rerank, span, self.times)
            score = float(joined.scores(of_terms[:, None])[0])
            scored.append((number, moment._replace(score=score)))
        return sorted(scored, key=_by_score)

    def _moments_fused(
        self,
        query: Query,
        joined: JoinedQuery,
        moments: Sequence[Found],
        without: Without | None,
        proposal: str,
    ) -> list[Found]:
        """By reciprocal ranks among the moments, and among the rows that hold the words."""
        by_words = self._moments_of_words(query, joined, without, proposal)
        by_key = {_key(found): found for found in [*moments, *by_words]}
        rankings = [list(map(_key, ranking)) for ranking in (moments, by_words)]
        return [
            (by_key[key][0], by_key[key][1]._replace(score=score))
            for key, score in reciprocal_ranks(rankings)
        ]

    def _moments_of_words(
        self, query: Query, joined: JoinedQuery, without: Without | None, proposal: str
    ) -> list[Found]:
        """The best moment of each of the rows that hold the words best, in the order of these."""
        ranked: list[tuple[float, Found]] = []
        for number, scores in enumerate(bm25(self.word_indexes, query.words)):
            timelines = self._timelines_without(number, without)
            rows = timelines.rows[scores[timelines.rows] > 0]
            rows = rows[np.argsort(-scores[rows], kind="stable")][:FUSED]
            files = dict.fromkeys(timelines.file_of[rows].tolist())
            best = best_moments(timelines, joined, list(files), rows, proposal)
            ranked += [
                (float(scores[row]), (number, self._bounded(moment)))
                for row, moment in best.items()
            ]
        order = sorted(ranked, key=lambda pair: (-pair[0], *_by_score(pair[1])))
        # Of several rows in one moment the best counts.
        unique: dict[tuple, Found] = {}
        for _, found in order:
            unique.setdefault(_key(found), found)
        return list(unique.values())[:FUSED]

    def _few_per_file(self, matches: list[Found], most: int) -> list[Found]:
        keys = [(number, match.row) for number, match in matches]
        return list(compress(matches, few_per_file(keys, self.tables, most)))

    @cached_property
    def timelines(self) -> list[Timelines]:
        """Of each source, the rows that may be found, by the files they lie in."""
        return [self._timelines(number) for number in range(len(self.sources))]

    def _timelines_without(self, number: int, without: Without | None) -> Timelines:
        if without and without[0] == self.sources[number].dataset.name:
            return self._timelines(number, without)
        return self.timelines[number]

    def _timelines(self, number: int, without: Without | None = None) -> Timelines:
        within = self.times.has_frames if self.times.bounds_frames else None
        return Timelines(self.sources[number], self.rows_searched(number, without), within)

    @cached_property
    def frame_indexes(self) -> list[FrameIndex]:
        """What finds the frames of each source."""
        return [open_frame_index(self._store.cache_folder, source) for source in self.sources]

    @cached_property
    def word_indexes(self) -> list[WordIndex]:
        """What is known of the words of each source."""
        folder = self._store.cache_folder
        return [open_words(folder, source.dataset) for source in self.sources]

    def _hits(self, matches: Sequence[Found]) -> list[Hit]:
        return [self.tables[n].hit(rank, match) for rank, (n, match) in enumerate(matches, start=1)]


def _span(moment: Match) -> tuple[float, float]:
    assert moment.start_seconds is not None
    assert moment.end_seconds is not None
    return moment.start_seconds, moment.end_seconds


def _key(found: Found) -> tuple:
    number, moment = found
    return number, moment.row, moment.start_seconds, moment.end_seconds


def _by_score(match: Found) -> tuple:
    """Of equal scores the earlier dataset and row come first."""
    number, found = match
    return -found.score, number, found.row, found.start_seconds or 0.0
