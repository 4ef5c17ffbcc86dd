"""How well each moment of a video answers a query, as the strip below a hit shows it."""

import itertools

import numpy as np

from harness.retrieval.combined_queries import JoinedQuery
from harness.retrieval.moments.moments import scored_curves
from harness.timelines import ScoreCurve, Timelines

# A strip on the widest screen has no more places.
_MOST_POINTS = 600


def strip_of(timelines: Timelines, row: int, joined: JoinedQuery) -> dict:
    """The curve of the file that a row lies in, whatever its other rows: `parts`, each without a
    hole, of `times` (seconds) and `scores`, and the `best` time.

    Scores are cosines, and of several terms what they make together. Empty where the row has no
    frames. Of many times that lie together the best is told.
    """
    file = int(timelines.file_of[row])
    if file < 0:
        return {"parts": [], "best": None}
    (curve,) = scored_curves(timelines, joined, [file], verify=False)
    scores = curve.cosines[0]
    parts = [_part(curve, slice(*edges)) for edges in _without_holes(curve)]
    return {"parts": parts, "best": round(float(curve.times[scores.argmax()]), 3)}


def _without_holes(curve: ScoreCurve) -> list[tuple[int, int]]:
    """First and last place, the latter exclusive, of each run of times that touch."""
    holes = np.flatnonzero(curve.begins[1:] > curve.ends[:-1] + 1e-3) + 1
    edges = [0, *holes.tolist(), len(curve.times)]
    return list(itertools.pairwise(edges))


def _part(curve: ScoreCurve, places: slice) -> dict:
    times, scores = curve.times[places], curve.cosines[0][places]
    step = -(-len(times) // _MOST_POINTS)
    starts = np.arange(0, len(times), step)
    highest = np.array([start + scores[start : start + step].argmax() for start in starts])
    # It reaches to the edges of what its outer frames stand for.
    times = [curve.begins[places][0], *times[highest], curve.ends[places][-1]]
    scores = [scores[highest[0]], *scores[highest], scores[highest[-1]]]
    return {"times": np.round(times, 3).tolist(), "scores": np.round(scores, 4).tolist()}
