"""Which stretches of a video answer a query, by the cosines of its frames: rules, no training.

    found = propose("contrast", curve)       # best first

A rule takes the cosines of one video's frames in the order of time and gives stretches of them.
`PROPOSALS` holds the rules by name; one of your own is a function put there.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from harness.retrieval.contrasts import contrasts
from harness.retrieval.frame_runs import FrameRun
from harness.retrieval.moments.watersheds import watersheds
from harness.timelines import ScoreCurve
from vifistore.errors import UnknownNameError

HALF_WAY, WATERSHED, CONTRAST = "half-way", "watershed", "contrast"


class Moment(NamedTuple):
    """A stretch of a video that answers a query."""

    start: float
    """Seconds from the start of the file."""
    end: float
    score: float
    """The larger the better; comparable among moments by one rule."""
    peak: int
    """Its frame with the largest cosine: an index of the curve's times."""


Rule = Callable[[np.ndarray, np.ndarray], Sequence[FrameRun]]
"""From times (float64 [time], seconds) and cosines (float32 [time]) to stretches, in any order."""


def half_way(times: np.ndarray, cosines: np.ndarray) -> list[FrameRun]:
    """Runs of neighbouring times with c_t >= (max_t c_t + mean_t c_t) / 2: nearer to the video's
    best frame than to its average one. Each scores as its best frame.
    """
    # Rounded, the mean of equal values may lie above them.
    chosen = cosines >= min((cosines.max() + cosines.mean()) / 2, cosines.max())
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(np.int8)))
    return [
        FrameRun(int(first), int(stop), float(cosines[first:stop].max()))
        for first, stop in edges.reshape(-1, 2)
    ]


PROPOSALS: dict[str, Rule] = {
    HALF_WAY: half_way,
    WATERSHED: watersheds,
    CONTRAST: contrasts,
}


def check_proposal(name: str) -> None:
    """Raise UnknownNameError for a name of no rule."""
    if name not in PROPOSALS:
        raise UnknownNameError("proposal", name, PROPOSALS)


def propose(name: str, curve: ScoreCurve, query: int = 0) -> list[Moment]:
    """The moments of one video that a rule finds for one of the curve's queries, best first.

    A stretch that a rule drew across a part of the file that no row holds is parted there, each
    part with its score. Raises UnknownNameError for a name of no rule.
    """
    check_proposal(name)
    cosines = curve.cosines[query]
    spans = PROPOSALS[name](curve.times, cosines)
    gaps = np.flatnonzero(curve.ends[:-1] < curve.begins[1:]) + 1
    moments = [
        Moment(
            float(curve.begins[first]),
            float(curve.ends[stop - 1]),
            span.score,
            first + int(cosines[first:stop].argmax()),
        )
        for span in spans
        for first, stop in _parted(span, gaps)
    ]
    return sorted(moments, key=lambda moment: (-moment.score, moment.start, moment.end))


def _parted(span: FrameRun, gaps: np.ndarray) -> list[tuple[int, int]]:
    """A stretch without what lies between `gaps` [gap], indexes of the first time behind each."""
    inner = gaps[(gaps > span.first) & (gaps < span.stop)].tolist()
    edges = [span.first, *inner, span.stop]
    return list(pairwise(edges))
