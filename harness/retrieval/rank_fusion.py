"""Several rankings become one, by ranks alone: scores of different kinds are not compared."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

_K = 60

# Of a search by vectors whose ranks are joined with those of words, so many have a rank.
FUSED = 100

Key = TypeVar("Key", bound=Hashable)


def reciprocal_ranks(rankings: Sequence[Sequence[Key]], k: int = _K) -> list[tuple[Key, float]]:
    """What is in any ranking with its score, best first; of equal scores what was met first, the
    earlier ranking before the later.

    The score is the sum over the rankings that have it of 1 / (k + rank), ranks from 1: Cormack,
    Clarke and Buettcher 2009, Reciprocal Rank Fusion outperforms Condorcet and individual Rank
    Learning Methods, who take k = 60.
    """
    scores: dict[Key, float] = {}
    for ranking in rankings:
        for rank, key in enumerate(ranking, start=1):
            scores[key] = scores.get(key, 0.0) + 1 / (k + rank)
    # Sorting keeps the order in which they were met.
    return sorted(scores.items(), key=lambda item: -item[1])
