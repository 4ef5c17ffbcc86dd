"""Logits by their share both ways: of all items for a query, and of all queries for an item.

What is near to everything (a hub) loses the second share. It takes all queries at once: such scores
are transductive, and are reported beside those that look at one query alone.

In matching of keypoints this product is called dual softmax, which in retrieval is another formula:
the similarity itself times its share of the queries (`harness/retrieval/normalised.py`). So it has
the name of what it makes soft, mutual nearest neighbours.
"""

import numpy as np

from harness.softmax import softmax


def mutual_softmax(logits: np.ndarray) -> np.ndarray:
    """softmax over items times softmax over queries, [query item] of scaled similarities alike.

    Sun et al. 2021 (LoFTR), arXiv 2104.00680, section 3.3, after Rocco et al. 2018, arXiv
    1810.10510, section 3.2 (soft mutual nearest neighbours); here of videos and classes.
    """
    logits = np.asarray(logits, np.float64)
    return softmax(logits, axis=1) * softmax(logits, axis=0)
