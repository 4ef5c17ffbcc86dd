"""Retrieval metrics as pure functions on arrays: no store, no files.

Everywhere `scores` is [query item] (higher is better) and `relevant` a bool [query item]; every
query has at least one relevant item. Equal scores are ranked by index, lowest first, but in
`average_precisions`.
"""

import numpy as np


def first_ranks(scores: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Rank of the best relevant item of each query, int64 [query]; 1 is the best rank."""
    best = np.where(relevant, scores, -np.inf).argmax(axis=1)[:, None]
    value = np.take_along_axis(scores, best, axis=1)
    is_earlier = np.arange(scores.shape[1])[None, :] < best
    return 1 + ((scores > value) | ((scores == value) & is_earlier)).sum(axis=1)


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
