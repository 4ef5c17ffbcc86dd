"""Scores of every template by itself, whose probabilities are averaged: ActionCLIP's rule.

With v a view's embedding and t_pc the unit embedding of class c in template p of P,

    each-template   1/P sum_p p(cos(v, t_pc)),  v = mean_f x_f as of embedding fusion

(sallymmx/ActionCLIP, test.py). Everywhere else the embeddings of the templates are averaged before
they are compared, which costs a P-th of it. With one template both are the same.
"""

import numpy as np

from harness.fusion import SLAB_VECTORS, class_cosines, sum_over_views
from harness.link import Link
from harness.slabs import run_slabs

EACH_TEMPLATE = "each-template"


def fuse_templates(vectors: np.ndarray, prompts: np.ndarray, link: Link) -> np.ndarray:
    """View vectors [video view dim] and unit texts [class prompt dim] -> float32 [video class], the
    probabilities summed over views."""
    vectors = np.asarray(vectors, np.float32)
    num_classes, num_prompts, _ = prompts.shape
    scores = np.zeros((len(vectors), num_classes), np.float32)

    def work(slab: slice) -> None:
        for place in range(num_prompts):
            cosines = class_cosines(vectors[slab], prompts[:, place])
            scores[slab] += sum_over_views(cosines, link)

    run_slabs(work, len(vectors), max(1, SLAB_VECTORS // vectors.shape[1]))
    return scores / num_prompts
