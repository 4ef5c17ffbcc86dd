"""Several feature sets as one: their embeddings, their logits, or their probabilities averaged.

With weights w_i that sum to one, of set i the unit vector v_i of a video (the mean of its views),
the unit class vectors t_ic, the scale s_i and the plain probabilities p_i:

    ensemble-embedding     softmax_c(s cos(sum_i w_i v_i, sum_i w_i t_ic)),  s = sum_i w_i s_i
    ensemble-logit         softmax_c(sum_i w_i log p_ic)
    ensemble-probability   sum_i w_i p_ic

The last two are the logarithmic and the linear opinion pool (Genest and Zidek 1986, Combining
Probability Distributions: A Critique). An average of embeddings means something where towers are of
one kin, as a tuned checkpoint and its start: it is what is cheap of averaging their weights
(Wortsman et al. 2022, Robust fine-tuning of zero-shot models). Weights are equal, or those of a
grid in steps of 0.1 that are right most often on a validation split, of such the ones with the
least negative log-likelihood there.
"""

import itertools
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from harness.fusion import class_cosines, unit
from harness.levers.lever import Given, Lever, Lifted, likelihood_loss
from harness.link import Link
from harness.metrics import is_right
from harness.softmax import softmax
from harness.vector_reading import video_vectors
from vifistore.errors import UsageError

STEPS = 10
# 286 ways to give four sets their weights; five would have 1,001.
MOST_SETS = 4

Mix = Callable[[np.ndarray], np.ndarray]
"""Weights [set] -> probabilities [video class]."""


def _by_embedding(sets: Sequence[Given]) -> Mix:
    if len({given.classes.vectors.shape for given in sets}) > 1:
        dims = ", ".join(str(given.classes.vectors.shape[1]) for given in sets)
        raise UsageError(
            f"embeddings of {dims} dimensions have no mean; give sets of one kind to "
            "--ensemble-with, or the lever ensemble-logit"
        )
    vectors = [video_vectors(given.videos.features, given.videos.rows) for given in sets]
    scales = np.array([given.classes.link.scale for given in sets])

    def mix(weights: np.ndarray) -> np.ndarray:
        classes = _weighted([given.classes.vectors for given in sets], weights)
        cosines = class_cosines(_weighted(vectors, weights), unit(classes))
        return Link(float(weights @ scales)).probabilities(cosines)

    return mix


def _by_logit(sets: Sequence[Given]) -> Mix:
    logits = [given.logits for given in sets]
    return lambda weights: softmax(_weighted(logits, weights))


def _by_probability(sets: Sequence[Given]) -> Mix:
    probabilities = [given.probabilities for given in sets]
    return partial(_weighted, probabilities)


def _weighted(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    return np.add.reduce([weight * part for weight, part in zip(weights, parts, strict=True)])


def _ensemble(level: Callable[[Sequence[Given]], Mix], given: Given) -> Lifted:
    sets = (given, *given.others)
    weights = np.full(len(sets), 1 / len(sets))
    if given.validation is not None:
        known = given.validation
        weights = best_weights(level((known, *known.others)), len(sets), known.videos.labels)
    names = [one.videos.features.name for one in sets]
    chosen = dict(zip(names, weights.round(3).tolist(), strict=True))
    return Lifted(
        scores=(given.num_views * level(sets)(weights)).astype(np.float32),
        facts={"weights": chosen},
        is_tuned=given.validation is not None,
    )


def best_weights(mix: Mix, num_sets: int, labels: np.ndarray) -> np.ndarray:
    """The weights of the grid that are right most often on videos with these labels [video]."""

    def loss(weights: np.ndarray) -> tuple[float, float]:
        probabilities = mix(weights)
        return -float(is_right(probabilities, labels).mean()), likelihood_loss(
            probabilities, labels
        )

    return min(weight_grid(num_sets), key=loss)


def weight_grid(num_sets: int) -> list[np.ndarray]:
    """All weights [set] that are whole tenths and sum to one. Raises UsageError for more sets than
    can be gone through."""
    if num_sets > MOST_SETS:
        raise UsageError(
            f"weights of {num_sets} feature sets are too many to try; give {MOST_SETS - 1} or "
            "fewer to --ensemble-with, or leave out --validation-split, which makes them equal"
        )
    tenths = itertools.product(range(STEPS + 1), repeat=num_sets)
    return [np.array(one) / STEPS for one in tenths if sum(one) == STEPS]


def _lever(level: Callable[[Sequence[Given]], Mix]) -> Lever:
    return Lever(score=partial(_ensemble, level), needs=("ensemble",))


ENSEMBLES = {
    "ensemble-embedding": _lever(_by_embedding),
    "ensemble-logit": _lever(_by_logit),
    "ensemble-probability": _lever(_by_probability),
}
