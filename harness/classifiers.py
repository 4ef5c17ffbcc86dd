"""Classifiers trained on frozen cached embeddings: linear probe, prototypes, cache, Tip-Adapter.

Each takes training vectors [sample dim] of unit length, their labels [sample] and the setting of
the task, and returns a function from vectors [... dim] to probabilities [... class].
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from harness.fusion import unit
from harness.link import Link
from harness.softmax import softmax
from vifistore.errors import UsageError

# The CLIP repository's probe uses C = 0.316 on embeddings of length about 10; shrinking vectors
# to length 1 multiplies the equivalent C by 100.
PROBE_C = 31.6
PROBE_STEPS = 1000

# Zhang et al. 2022 (Tip-Adapter), training-free setting.
CACHE_ALPHA = 1.0
CACHE_BETA = 5.5

Predict = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a classifier knows besides its training vectors."""

    num_classes: int
    link: Link
    """What makes probabilities of cosines with texts; its scale is that of other cosines, too."""
    class_vectors: np.ndarray | None = None
    """Unit text vectors [class dim], for classifiers that use text."""


def linear_probe(vectors: np.ndarray, labels: np.ndarray, task: Task) -> Predict:
    """Multinomial logistic regression with an L2 penalty, by L-BFGS (CLIP, section 3.2).

    `vectors` is [sample dim], `labels` [sample]. Raises UsageError for fewer than two classes, and
    for one without training vectors.
    """
    if task.num_classes < 2:
        raise UsageError("a linear probe tells two classes or more apart; use --classifier text")
    # scikit-learn takes over a second to import, and only this needs it.
    from sklearn.linear_model import LogisticRegression

    _check_every_class(labels, task)
    # Products this small gain little by a second thread, and wait long for one that is busy:
    # beside other work 2,784 videos of 174 classes took 2.5 s on one thread and 11.5 s on two.
    with threadpool_limits(1):
        model = LogisticRegression(C=PROBE_C, max_iter=PROBE_STEPS).fit(vectors, labels)

    def predict(queries: np.ndarray) -> np.ndarray:
        flat = model.predict_proba(queries.reshape(-1, queries.shape[-1]))
        return flat.reshape(*queries.shape[:-1], -1).astype(np.float32)

    return predict


def prototypes(vectors: np.ndarray, labels: np.ndarray, task: Task) -> Predict:
    """Softmax of scaled cosines with the mean of each class's vectors [sample dim] (Snell et al.
    2017, by cosine).

    Always a softmax: the bias of a sigmoid is that of cosines with texts, and those of videos with
    videos are far above them.
    """
    _check_every_class(labels, task)
    centres = unit(_one_hot(labels, task).T @ vectors)
    return lambda queries: Link(task.link.scale).probabilities(queries @ centres.T)


def cache(vectors: np.ndarray, labels: np.ndarray, task: Task) -> Predict:
    """Softmax of alpha x exp(-beta (1 - cosine)) of every training vector [sample dim] for its
    class: what Tip-Adapter adds to its text logits, alone."""
    votes = _cache_votes(vectors, labels, task)
    return lambda queries: softmax(votes(queries))


def tip_adapter(vectors: np.ndarray, labels: np.ndarray, task: Task) -> Predict:
    """Text logits plus the votes of the cache, from vectors [sample dim], and of these sums what
    the texts' link makes: a softmax (Tip-Adapter), or a sigmoid."""
    votes = _cache_votes(vectors, labels, task)
    class_vectors = task.class_vectors
    assert class_vectors is not None, "it is among those that use text"

    def predict(queries: np.ndarray) -> np.ndarray:
        text = task.link.logits(queries @ class_vectors.T)
        return task.link.probabilities_of(text + votes(queries))

    return predict


def _cache_votes(vectors: np.ndarray, labels: np.ndarray, task: Task) -> Predict:
    _check_every_class(labels, task)
    answers = _one_hot(labels, task)

    def votes(queries: np.ndarray) -> np.ndarray:
        return CACHE_ALPHA * (np.exp(-CACHE_BETA * (1 - queries @ vectors.T)) @ answers)

    return votes


CLASSIFIERS: dict[str, Callable[[np.ndarray, np.ndarray, Task], Predict]] = {
    "linear-probe": linear_probe,
    "prototype": prototypes,
    "cache": cache,
    "tip-adapter": tip_adapter,
}
USES_TEXT = ("tip-adapter",)


def _one_hot(labels: np.ndarray, task: Task) -> np.ndarray:
    return np.eye(task.num_classes, dtype=np.float32)[labels]


def _check_every_class(labels: np.ndarray, task: Task) -> None:
    missing = np.setdiff1d(np.arange(task.num_classes), labels)
    if len(missing):
        raise UsageError(
            f"{len(missing)} of {task.num_classes} classes have no training video; choose a "
            "training split that holds every class"
        )
