"""Softmax, in a file of its own: `harness.fusion` imports further fusions, and these import it."""

import numpy as np


def softmax(logits: np.ndarray, axis: int = -1) -> np.ndarray:
    """exp(logits) over its sum along `axis`, of the shape of `logits` [... class]; shifted by the
    maximum so that it cannot overflow."""
    powers = np.subtract(logits, logits.max(axis=axis, keepdims=True))
    np.exp(powers, out=powers)
    powers /= powers.sum(axis=axis, keepdims=True)
    return powers
