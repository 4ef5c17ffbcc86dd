"""P-values of many comparisons at once: exact for each, and corrected for how many they are."""

from collections.abc import Sequence

import numpy as np

from vifistore.errors import UnknownNameError


def sign_test(plus: int, minus: int) -> float:
    """Two-sided exact p-value of as many differences above zero and below: the exact form of
    McNemar's test (McNemar 1947) where each is one video that one of two systems got right.

    Unlike a bootstrap of some thousand draws it tells p-values small enough to be corrected.
    """
    total, below, term = plus + minus, 0, 1
    # Whole numbers of any size: each binomial coefficient from the one before.
    for count in range(min(plus, minus) + 1):
        below += term
        term = term * (total - count) // (count + 1)
    return min(1.0, 2 * below / 2**total)


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjusted p-values float64 [test]: below 5% any false finding at all has at most that
    probability (Holm 1979)."""
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    return _back(np.maximum.accumulate(values[order] * factors), order)


def benjamini_hochberg(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjusted p-values float64 [test]: of those below 5% at most that share is expected to be
    false findings (Benjamini and Hochberg 1995)."""
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind="stable")[::-1]
    ranks = np.arange(len(values), 0, -1)
    return _back(np.minimum.accumulate(values[order] * len(values) / ranks), order)


def _back(ordered: np.ndarray, order: np.ndarray) -> np.ndarray:
    found = np.empty(len(ordered))
    found[order] = np.minimum(ordered, 1.0)
    return found


CORRECTIONS = {"holm": holm, "bh": benjamini_hochberg}
WORDS = {
    "holm": "Holm's method (no false finding, 95%)",
    "bh": "Benjamini and Hochberg's method (at most 5% of the findings false)",
}


def corrected(p_values: Sequence[float] | np.ndarray, method: str) -> np.ndarray:
    """Adjusted p-values float64 [test]. Raises UnknownNameError for another method."""
    if method not in CORRECTIONS:
        raise UnknownNameError("correction", method, CORRECTIONS)
    return CORRECTIONS[method](p_values)
