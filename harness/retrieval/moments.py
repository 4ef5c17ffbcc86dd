"""Moments: the stretches of videos that answer a query best, over the whole timeline of each.

Rows of one file are one video (`harness/timelines.py`). Looked at are the k videos with the best
frames, since by the rule `half-way` the k best moments of all lie in them: a moment scores as its
best frame. By another rule of `harness/retrieval/proposals.py` they are the best of those videos.
"""

from collections.abc import Sequence

import numpy as np

from harness.retrieval.frame_index import FrameIndex
from harness.retrieval.hits import HitCurve, Match
from harness.retrieval.proposals import HALF_WAY, check_proposal, propose
from harness.timelines import ScoreCurve, Timelines

# Points of the curve that a hit tells: enough for a strip of a screen's width.
_CURVE_POINTS = 240
# Frames that an index is asked for, of each video that is wanted.
_FRAMES_A_VIDEO = 16


def find_moments(
    timelines: Timelines,
    queries: np.ndarray,
    k: int,
    *,
    proposal: str = HALF_WAY,
    index: FrameIndex | None = None,
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
    asked: dict[int, list[int]] = {}
    for query, files in enumerate(chosen):
        for file in files:
            asked.setdefault(file, []).append(query)
    found: list[list[Match]] = [[] for _ in queries]
    # An index was checked against the set when it was opened: only what is shown is read again.
    curves = timelines.curves(sorted(asked), lambda file: queries[asked[file]], verify=not by_index)
    for file, curve in curves:
        for number, query in enumerate(asked[file]):
            found[query] += _matches(curve, number, proposal, k)
    return [sorted(matches, key=_order)[:k] for matches in found]


def _order(match: Match) -> tuple:
    return -match.score, match.row, match.start_seconds or 0.0


def _best(timelines: Timelines, queries: np.ndarray, k: int) -> list[list[int]]:
    """For each query the k files with the best frames."""
    return np.argsort(-timelines.best(queries), axis=1, kind="stable")[:, :k].tolist()


def _found(
    timelines: Timelines, index: FrameIndex | None, queries: np.ndarray, k: int
) -> list[list[int]]:
    """For each query the files of the first k that an index finds frames of."""
    assert index is not None
    file_of = timelines.file_of
    k, count = min(k, len(timelines)), _FRAMES_A_VIDEO * min(k, len(timelines))
    while True:
        hits = index.search(queries, count, file_of >= 0)
        # -1 of a hit that there is not is the last row.
        files = [list(dict.fromkeys(file_of[rows[rows >= 0]].tolist()))[:k] for rows in hits.rows]
        is_all = bool((hits.rows[:, -1:] < 0).all()) or count >= _most_frames(timelines)
        if is_all or min(map(len, files)) == k:
            return files
        count *= 4


def _most_frames(timelines: Timelines) -> int:
    """Frames that the rows of timelines can have at most."""
    frames = timelines.features.require_array("frames").shape
    return len(timelines.rows) * int(np.prod(frames[1:3]))


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
    best = [
        first + int(scores[first:stop].argmax())
        for first, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]
    return HitCurve(
        times=tuple(round(float(times[i]), 3) for i in best),
        scores=tuple(round(float(scores[i]), 4) for i in best),
    )
