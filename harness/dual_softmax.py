"""Similarities by their share both ways: of all items for a query, and of all queries for an item.

What is near to everything (a hub) loses the second share. It takes all queries at once: such scores
are transductive, and are reported beside those that look at one query alone.
"""

import numpy as np

from harness.softmax import softmax


def dual_softmax(logits: np.ndarray) -> np.ndarray:
    """softmax over items times softmax over queries, [query item] of scaled similarities alike.

    Cheng et al. 2021, Improving Video-Text Retrieval by Multi-Stream Corpus Alignment and Dual
    Softmax Loss, section 3.3: the prior of the other direction, at the scale of the model itself.
    """
    logits = np.asarray(logits, np.float64)
    return softmax(logits, axis=1) * softmax(logits, axis=0)
