"""Metrics as pure functions on arrays: no store, no files, no randomness.

Everywhere `scores` is [video class] (higher is better), `labels` an integer [video] of class
indexes, and a result a fraction in [0, 1]. Equal scores are ranked by class index, lowest first,
as `argmax` does.

Those of retrieval take `scores` [query item] and `relevant`, bool [query item]; every query has at
least one relevant item. Equal scores are ranked by index, lowest first, but in `first_ranks` and
`average_precisions`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def label_ranks(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many classes beat the right one, int64 [video]; 0 is a right answer."""
    right = np.take_along_axis(scores, labels[:, None].astype(np.int64), axis=1)
    earlier = np.arange(scores.shape[1])[None, :] < labels[:, None]
    return ((scores > right) | ((scores == right) & earlier)).sum(axis=1)


def is_right(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the best class is the right one, bool [video]."""
    return label_ranks(scores, labels) < 1


def harmonic_mean(base: float, novel: float) -> float:
    """2bn / (b + n), the paper's summary of base-to-novel (section 4.1); 0 when both are 0."""
    return 2 * base * novel / (base + novel) if base + novel else 0.0


@dataclass(frozen=True)
class Reliability:
    """How often the winning class is right, by its probability; each [bin], of equal bins of (0,
    1]."""

    counts: np.ndarray
    """int64: videos whose winning class has such a probability."""
    confidence: np.ndarray
    """float64: mean probability of these; 0 of none."""
    accuracy: np.ndarray
    """float64: share of them that is right; 0 of none."""


def reliability(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = 15, num_summed: int | None = None
) -> Reliability:
    """What a reliability diagram shows (Guo et al. 2017, section 2), of probabilities [video class]
    and labels [video].

    Probabilities may be a sum over views: each row is divided by its sum first. Where those of a
    view do not sum to one, each row is divided by `num_summed`, how many views that is.
    """
    confidence = probabilities.max(axis=1) / (num_summed or probabilities.sum(axis=1))
    index = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(index, minlength=bins)
    of_each = np.maximum(counts, 1)
    sums = [
        np.bincount(index, weights=values, minlength=bins) / of_each
        for values in (confidence, is_right(probabilities, labels))
    ]
    return Reliability(counts, *sums)


def calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = 15, num_summed: int | None = None
) -> float:
    """Expected calibration error of the winning class: sum_b n_b/n |accuracy_b - confidence_b|
    (Guo et al. 2017, eq. 3) over the bins of `reliability`, see there, of probabilities [video
    class] and labels [video]."""
    found = reliability(probabilities, labels, bins, num_summed)
    gaps = np.abs(found.accuracy - found.confidence)
    return float((found.counts * gaps).sum() / len(labels))


def per_class_table(
    scores: np.ndarray, labels: np.ndarray, class_names: list[str]
) -> "pd.DataFrame":
    """One row per class: class, num_videos, recall, precision, most_confused_with.

    `scores` is [video class], `labels` [video]. Recall is NaN without videos of the class,
    precision NaN if it was never answered.
    """
    import pandas as pd

    matrix = confusion_matrix(scores, labels)
    hits, counts, answers = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    wrong = matrix - np.diag(hits)
    names = np.asarray(class_names, dtype=object)
    return pd.DataFrame(
        {
            "class": names,
            "num_videos": counts,
            "recall": np.divide(hits, counts, out=np.full(len(hits), np.nan), where=counts > 0),
            "precision": np.divide(
                hits, answers, out=np.full(len(hits), np.nan), where=answers > 0
            ),
            "most_confused_with": np.where(wrong.any(axis=1), names[wrong.argmax(axis=1)], ""),
        }
    )


def confusion_matrix(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts, int64 [class answer]: rows are the right class, columns what was answered."""
    num_classes = scores.shape[1]
    cells = labels.astype(np.int64) * num_classes + scores.argmax(axis=1)
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def confusion_pairs(
    scores: np.ndarray, labels: np.ndarray, class_names: list[str], limit: int = 20
) -> "pd.DataFrame":
    """The most frequent mistakes of scores [video class]: true, predicted, count, num_videos (of
    the true class), share (of these)."""
    import pandas as pd

    matrix = confusion_matrix(scores, labels)
    wrong = matrix - np.diag(matrix.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    rows, columns = np.unravel_index(order[wrong.ravel()[order] > 0], wrong.shape)
    names = np.asarray(class_names, dtype=object)
    count, num_videos = wrong[rows, columns], matrix.sum(axis=1)[rows]
    return pd.DataFrame(
        {
            "true": names[rows],
            "predicted": names[columns],
            "count": count,
            "num_videos": num_videos,
            "share": count / num_videos,
        }
    )


def first_ranks(
    scores: np.ndarray, relevant: np.ndarray, times: np.ndarray | None = None
) -> np.ndarray:
    """Rank of the best relevant item of each query, int64 [query]; 1 is the best rank.

    What is not relevant and scores the same counts as better. `times` int64 [item] says how often
    each item is there, if not once.
    """
    best = np.where(relevant, scores, -np.inf).max(axis=1, keepdims=True)
    ahead = (scores >= best) & ~relevant
    return 1 + (ahead.sum(axis=1) if times is None else ahead @ times)


def average_precisions(scores: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Average precision sum_n (R_n - R_{n-1}) P_n of each query, float64 [query].

    n goes over the distinct scores, so that the order of equal ones does not count
    (scikit-learn's `average_precision_score`).
    """
    return np.array([_average_precision(*pair) for pair in zip(scores, relevant, strict=True)])


def precisions_at(scores: np.ndarray, relevant: np.ndarray, k: int) -> np.ndarray:
    """Share of the k best items that are relevant, float64 [query]."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(relevant, order, axis=1).mean(axis=1)


def _average_precision(scores: np.ndarray, relevant: np.ndarray) -> float:
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order], np.cumsum(relevant[order])
    # Only where the score changes has a threshold been passed.
    ends = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    precision = hits[ends] / (ends + 1)
    steps = np.diff(hits[ends], prepend=0) / hits[-1]
    return float((steps * precision).sum())
