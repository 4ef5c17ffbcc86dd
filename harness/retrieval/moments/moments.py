"""Moments: the stretches of videos that answer a query best, over the whole timeline of each.

Rows of one file are one video (`harness/timelines.py`). Looked at are the k videos with the best
frames, since by the rule `half-way` the k best moments of all lie in them: a moment scores as its
best frame. By another rule of `proposals.py` they are the best of those videos.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.retrieval.combined_queries import JoinedQuery
from harness.retrieval.hits import HitCurve, Match
from harness.retrieval.indexing.frame_index import BestFrames
from harness.retrieval.moments.proposals import HALF_WAY, check_proposal, propose
from harness.timelines import ScoreCurve, Timelines

# Points of the curve that a hit tells: enough for a strip of a screen's width.
_CURVE_POINTS = 240
_FILES_AT_ONCE = 3
# Rows that an index is asked for, of each file that is wanted.
_ROWS_A_FILE = 2
FILES_A_TERM = 100
"""Files that an index is asked for, for each of several terms."""
# Frames of so many bytes are all compared for several terms, which takes some tenth of a second.
_SCANNED_BYTES = 2**28


@dataclass
class FilesCompared:
    """Of how many files a query of several terms was compared with the frames."""

    files: int = 0
    of: int = 0
    """How many files could have answered."""

    def add(self, files: int, of: int) -> None:
        """Count those of one more source."""
        self.files, self.of = self.files + files, self.of + of


def find_moments(
    timelines: Timelines,
    queries: np.ndarray,
    k: int,
    *,
    proposal: str = HALF_WAY,
    index: BestFrames | None = None,
) -> list[list[Match]]:
    """The k best moments of each query, best first; fewer if there are no more.

    queries: float32 [query dim] of unit length. Every cached frame is compared, or with an `index`
    of the same feature set those of the videos whose frames it finds. Raises UnknownNameError for
    an unknown rule, DamagedError for embeddings that are not what was written.
    """
    check_proposal(proposal)
    if not len(timelines):
        return [[] for _ in queries]
    by_index = index is not None and index.kind != "exact"
    chosen = _found(timelines, index, queries, k) if by_index else _best(timelines, queries, k)
    found: list[list[Match]] = [[] for _ in queries]
    # Of one query few files are read at a time: the first may hold all that is wanted.
    step = _FILES_AT_ONCE if len(queries) == 1 and proposal == HALF_WAY else k
    while asked := _asked_next(chosen, found, step, k):
        of_file = queries if len(queries) == 1 else lambda file, asked=asked: queries[asked[file]]
        # An index was checked against the set when it was opened: only what is shown is read again.
        for file, curve in timelines.curves(sorted(asked), of_file, verify=not by_index):
            for number, query in enumerate(asked[file]):
                found[query] += _matches(curve, number, proposal, k)
        found = [sorted(matches, key=_order)[:k] for matches in found]
    return found


def find_joined(
    timelines: Timelines,
    joined: JoinedQuery,
    k: int,
    *,
    proposal: str = HALF_WAY,
    index: BestFrames | None = None,
    files_a_term: int = FILES_A_TERM,
    compared: FilesCompared | None = None,
) -> list[Match]:
    """The k best moments of one query of several terms, best first: by a rule on the curve of its
    scores. Raises as `find_moments`.

    Looked at are the k files with the best scores. With an `index`, and more frames than can be
    gone through at once, they are the best of the `files_a_term` with the best frames by each
    wanted term, or by their mean: another file may be better by all of them together. `compared`
    counts the files whose frames were compared.
    """
    check_proposal(proposal)
    if not len(timelines):
        return []
    by_index = (
        index is not None
        and index.kind != "exact"
        and timelines.num_bytes > _SCANNED_BYTES
        and files_a_term < len(timelines)
    )
    num_compared = len(timelines)
    if by_index:
        chosen = _found(timelines, index, joined.probes, max(k, files_a_term))
        files = {file for candidates in chosen for file, _ in candidates}
        num_compared = len(files)
    else:
        best = timelines.best(joined.terms, joined.scores)[0]
        files = set(np.argsort(-best, kind="stable")[:k].tolist())
    if compared is not None:
        compared.add(num_compared, len(timelines))
    of_files: list[tuple[float, list[Match]]] = []
    for curve in scored_curves(timelines, joined, sorted(files), verify=not by_index):
        of_files.append((float(curve.cosines.max()), _matches(curve, 0, proposal, k)))
    of_files.sort(key=lambda of_file: -of_file[0])
    found = [match for _, matches in of_files[:k] for match in matches]
    return sorted(found, key=_order)[:k]


def best_moments(
    timelines: Timelines, joined: JoinedQuery, files: Sequence[int], rows: np.ndarray, proposal: str
) -> dict[int, Match]:
    """The best moment by a rule of each of some rows [row] in these files, by the row: of the file,
    where one has a time of the row, else of the row alone."""
    found: dict[int, Match] = {}
    for curve in scored_curves(timelines, joined, files):
        moments = _matches(curve, 0, proposal, len(curve.times))
        for row in np.intersect1d(curve.rows, rows).tolist():
            times = curve.times[curve.rows == row]
            having = (one for one in moments if _has_time(one, times))
            found[row] = next(having, None) or _matches(curve.of_row(row), 0, proposal, 1)[0]
    return found


def _has_time(moment: Match, times: np.ndarray) -> bool:
    assert moment.start_seconds is not None
    assert moment.end_seconds is not None
    return bool(((times >= moment.start_seconds) & (times <= moment.end_seconds)).any())


def scored_curves(
    timelines: Timelines, joined: JoinedQuery, files: Sequence[int], *, verify: bool = True
) -> Iterator[ScoreCurve]:
    """The curve of each file by the scores of a query, [1 time]."""
    for _, curve in timelines.curves(files, joined.terms, verify=verify):
        yield replace(curve, cosines=joined.scores(curve.cosines)[None])


# A file by its number, and its best cosine with a query.
_Candidates = list[tuple[int, float]]


def _asked_next(
    chosen: list[_Candidates], found: list[list[Match]], step: int, k: int
) -> dict[int, list[int]]:
    """Queries of each file that is to be read next; taken from `chosen`, the best first.

    None of a query that has k moments which the best frame of the next file is below.
    """
    asked: dict[int, list[int]] = {}
    for query, candidates in enumerate(chosen):
        if len(found[query]) == k and candidates and found[query][-1].score > candidates[0][1]:
            candidates.clear()
        for file, _ in candidates[:step]:
            asked.setdefault(file, []).append(query)
        del candidates[:step]
    return asked


def _order(match: Match) -> tuple:
    return -match.score, match.row, match.start_seconds or 0.0


def _best(timelines: Timelines, queries: np.ndarray, k: int) -> list[_Candidates]:
    """For each query the k files with the best frames."""
    best = timelines.best(queries)
    order = np.argsort(-best, axis=1, kind="stable")[:, :k]
    return [
        list(zip(files.tolist(), of_query[files].tolist(), strict=True))
        for files, of_query in zip(order, best, strict=True)
    ]


def _found(
    timelines: Timelines, index: BestFrames | None, queries: np.ndarray, k: int
) -> list[_Candidates]:
    """For each query the k files that an index finds the best frames in."""
    assert index is not None
    file_of = timelines.file_of
    k = min(k, len(timelines))
    count = min(_ROWS_A_FILE * k, len(timelines.rows))
    while True:
        hits = index.nearest_videos(queries, count, file_of >= 0)
        found = [
            _first_of_files(*pair, file_of) for pair in zip(hits.cosines, hits.rows, strict=True)
        ]
        if count == len(timelines.rows) or min(map(len, found)) >= k:
            return [candidates[:k] for candidates in found]
        count = min(4 * count, len(timelines.rows))


def _first_of_files(cosines: np.ndarray, rows: np.ndarray, file_of: np.ndarray) -> _Candidates:
    """Files with their best cosines, best first, of hits [hit] in that order."""
    # A hit that there is not has the row -1.
    is_there = rows >= 0
    files, first = np.unique(file_of[rows[is_there]], return_index=True)
    order = np.argsort(first)
    best = cosines[is_there][first]
    return list(zip(files[order].tolist(), best[order].tolist(), strict=True))


def _matches(curve: ScoreCurve, query: int, proposal: str, k: int) -> list[Match]:
    """The k best moments of one video."""
    short = short_curve(curve.times, curve.cosines[query])
    return [
        Match(int(curve.rows[moment.peak]), moment.score, moment.start, moment.end, short)
        for moment in propose(proposal, curve, query)[:k]
    ]


def short_curve(times: np.ndarray, scores: Sequence[float] | np.ndarray) -> HitCurve:
    """A curve of at most 240 points: of neighbouring times [time] the one with the best score."""
    scores = np.asarray(scores)
    edges = np.linspace(0, len(times), min(len(times), _CURVE_POINTS) + 1).astype(np.int64)
    largest = np.maximum.reduceat(scores, edges[:-1])
    best = np.flatnonzero(scores == np.repeat(largest, np.diff(edges)))
    # Of equal ones the first.
    best = best[np.unique(np.searchsorted(edges, best, side="right"), return_index=True)[1]]
    return HitCurve(
        times=tuple(np.round(times[best].astype(np.float64), 3).tolist()),
        scores=tuple(np.round(scores[best].astype(np.float64), 4).tolist()),
    )
