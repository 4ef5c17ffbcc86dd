"""Levers that look at all scored videos together, without their labels.

    mutual-softmax    the share of a class for a video, times that of the video for the class
    test-time-cache   TDA: videos that were sure of their class vote for those that come after

Both are transductive: a video scored alone, or beside others, gets another score. Rows say so.
"""

import numpy as np

from harness.levers.lever import Given, Lever, Lifted
from harness.mutual_softmax import mutual_softmax
from harness.softmax import softmax
from harness.vector_reading import video_vectors

# Of the released code of TDA (kdiAAA/TDA, configs/imagenet.yaml): not of its configurations for
# each test set, which are tuned on it.
POSITIVE_KEPT, POSITIVE_ALPHA, POSITIVE_BETA = 3, 2.0, 5.0
NEGATIVE_KEPT, NEGATIVE_ALPHA, NEGATIVE_BETA = 2, 0.117, 1.0
UNSURE = (0.2, 0.5)
MASKED = (0.03, 1.0)
# Videos of a split often lie class by class; the released code shuffles them, too.
ORDER_SEED = 0


def _mutual(given: Given) -> Lifted:
    return Lifted(scores=_over_views(mutual_softmax(given.logits), given))


def _over_views(products: np.ndarray, given: Given) -> np.ndarray:
    """Rows that sum to the number of views, as those of the plain score do."""
    return (given.num_views * products / products.sum(axis=1, keepdims=True)).astype(np.float32)


def _cached(given: Given) -> Lifted:
    vectors = video_vectors(given.videos.features, given.videos.rows)
    order = np.random.default_rng(ORDER_SEED).permutation(len(vectors))
    logits = given.logits
    logits[order] = with_caches(vectors[order], logits[order])
    return Lifted(scores=_over_views(softmax(logits), given), facts={"order_seed": ORDER_SEED})


def with_caches(vectors: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Logits [video class] with the votes of two caches, of videos in the order in which they come:
    unit vectors [video dim] and plain logits [video class].

    Karmanov et al. 2024, Efficient Test-Time Adaptation of Vision-Language Models, as its released
    code (tda_runner.py) has it. Of each answered class the positive cache keeps the 3 videos of the
    least entropy, and adds 2 sum exp(-5 (1 - cosine)) for that class. The negative one keeps 2 of
    an entropy, over log2 of the number of classes, between 0.2 and 0.5, and takes 0.117 sum
    exp(-(1 - cosine)) from the classes whose probability was between 0.03 and 1.
    """
    probabilities = softmax(np.asarray(logits, np.float64))
    entropies = -(probabilities * np.log(np.maximum(probabilities, 1e-300))).sum(axis=1)
    shares = entropies / max(np.log2(logits.shape[1]), 1)
    masks = (probabilities > MASKED[0]) & (probabilities < MASKED[1])
    answers = np.eye(logits.shape[1])[logits.argmax(axis=1)]
    sure, unsure = _Cache(POSITIVE_KEPT), _Cache(NEGATIVE_KEPT)
    found = np.array(logits, np.float64)
    for video, answer in enumerate(logits.argmax(axis=1)):
        sure.offer(answer, entropies[video], video)
        if UNSURE[0] < shares[video] < UNSURE[1]:
            unsure.offer(answer, entropies[video], video)
        for cache, marks, alpha, beta in (
            (sure, answers, POSITIVE_ALPHA, POSITIVE_BETA),
            (unsure, masks, -NEGATIVE_ALPHA, NEGATIVE_BETA),
        ):
            if kept := cache.videos:
                votes = np.exp(-beta * (1 - vectors[kept] @ vectors[video]))
                found[video] += alpha * (votes @ marks[kept])
    return found


class _Cache:
    """The videos of the least entropy of each class that was answered."""

    def __init__(self, num_kept: int) -> None:
        self._num_kept = num_kept
        self._of_class: dict[int, list[tuple[float, int]]] = {}

    def offer(self, answer: int, entropy: float, video: int) -> None:
        """Keep a video while there is room, or in the place of one of more entropy."""
        kept = self._of_class.setdefault(int(answer), [])
        if len(kept) == self._num_kept:
            if entropy >= kept[-1][0]:
                return
            kept.pop()
        kept.append((float(entropy), video))
        kept.sort(key=lambda one: one[0])

    @property
    def videos(self) -> list[int]:
        """Those that are kept."""
        return [video for kept in self._of_class.values() for _, video in kept]


TRANSDUCTIVE = {
    "mutual-softmax": Lever(score=_mutual, is_transductive=True),
    "test-time-cache": Lever(score=_cached, is_transductive=True),
}
