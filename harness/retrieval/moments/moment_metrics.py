"""How well predicted stretches meet the right ones, as the published evaluations count it.

QVHighlights (`standalone_eval/eval.py` and `utils.py` of github.com/jayleicn/moment_detr, after Lei
et al., arXiv 2107.09609): R1 at an overlap, mAP at overlaps of 0.5 to 0.95 and their mean, HIT@1.
Charades-STA and ActivityNet-Captions (Gao et al., TALL, arXiv 1705.02101): R@n at an overlap, and
the mean overlap of the first prediction.

Windows are float64 [window 2]: start and end in seconds; predictions come best first.
"""

from collections.abc import Mapping, Sequence

import numpy as np

MAP_OVERLAPS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
# As many predictions of a query count for mAP.
MAX_PREDICTIONS = 10
# A clip that all but nobody would leave out: "very good".
BEST_SALIENCY = 4


def overlaps(predicted: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Intersection over union of every predicted and every right window, [predicted right]."""
    shared = _shared(predicted, right)
    lengths = predicted[:, 1] - predicted[:, 0]
    union = lengths[:, None] + (right[:, 1] - right[:, 0])[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def hull_overlaps(predicted: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The same over the length from the first start to the last end, [predicted right].

    It is equal where two windows meet, and by this recall is counted: where an overlap is just at
    the threshold, rounding alone decides.
    """
    shared = _shared(predicted, right)
    last = np.maximum(predicted[:, None, 1], right[None, :, 1])
    hull = last - np.minimum(predicted[:, None, 0], right[None, :, 0])
    return np.divide(shared, hull, out=np.zeros_like(shared), where=hull > 0)


def _shared(predicted: np.ndarray, right: np.ndarray) -> np.ndarray:
    ends = np.minimum(predicted[:, None, 1], right[None, :, 1])
    return np.maximum(ends - np.maximum(predicted[:, None, 0], right[None, :, 0]), 0.0)


def best_overlap(predicted: np.ndarray, right: np.ndarray, count: int = 1) -> float:
    """The largest overlap of the first `count` predictions with any right window; 0 of none."""
    found = hull_overlaps(predicted[:count], right)
    return float(found.max()) if found.size else 0.0


def average_precision(
    predicted: np.ndarray,
    scores: np.ndarray,
    right: np.ndarray,
    thresholds: Sequence[float] = MAP_OVERLAPS,
) -> np.ndarray:
    """Average precision of one query at each overlap, float64 [threshold].

    The first ten predictions, by their scores [window]. Each takes the right window that it
    overlaps most of those that are left, if by the threshold or more. Precision is that of VOC
    2011: at each recall the largest at it or above.
    """
    order = np.argsort(-scores[:MAX_PREDICTIONS], kind="stable")
    found = overlaps(predicted[:MAX_PREDICTIONS][order], right)
    return np.array([_voc_precision(_is_right(found, least), len(right)) for least in thresholds])


def _is_right(found: np.ndarray, least: float) -> np.ndarray:
    """Which predictions take a right window by overlaps [predicted right], bool [predicted]."""
    is_taken, is_right = np.zeros(found.shape[1], bool), np.zeros(len(found), bool)
    for number, of_prediction in enumerate(found):
        free = np.flatnonzero(~is_taken & (of_prediction >= least))
        if len(free):
            is_taken[free[of_prediction[free].argmax()]] = is_right[number] = True
    return is_right


def _voc_precision(is_right: np.ndarray, num_right: int) -> float:
    hits = np.cumsum(is_right)
    precision = hits / np.arange(1, len(hits) + 1)
    best_from = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best_from[is_right].sum() / num_right)


def highlight_hit(predicted: np.ndarray, saliency: Mapping[int, Sequence[int]]) -> float:
    """Whether the clip with the largest predicted score was called very good by any annotator.

    predicted: float [clip]. saliency: of each relevant clip, by its number, a score from 0 to 4 of
    each annotator; all other clips have 0.
    """
    best = int(np.argmax(predicted))
    return float(max(saliency.get(best, (0,))) >= BEST_SALIENCY)
