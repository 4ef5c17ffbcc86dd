"""From logits to probabilities."""

import numpy as np


def softmax(logits: np.ndarray, axis: int = -1) -> np.ndarray:
    """exp(logits) over its sum along `axis`, shifted by the maximum so that it cannot overflow."""
    powers = np.subtract(logits, logits.max(axis=axis, keepdims=True))
    np.exp(powers, out=powers)
    powers /= powers.sum(axis=axis, keepdims=True)
    return powers
