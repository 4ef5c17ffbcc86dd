"""Probabilities that say how often they are right: one temperature, by a validation split.

    temperature   softmax_c(log p_c / T), T the one of least negative log-likelihood

(Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2). It changes no answer.
"""

import numpy as np

from harness.levers.lever import Given, Lever, Lifted, likelihood_loss
from harness.softmax import softmax

# Of softmaxes at the scale of CLIP; where the best is at an end, more would change little.
LEAST, MOST = 0.05, 20.0


def best_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature of least negative log-likelihood, of logits [video class] and their labels
    [video]."""
    # SciPy's optimisers take long to import, and only this needs them.
    from scipy.optimize import minimize_scalar

    def loss(exponent: float) -> float:
        return likelihood_loss(softmax(logits / np.exp(exponent)), labels)

    found = minimize_scalar(loss, bounds=(np.log(LEAST), np.log(MOST)), method="bounded")
    return float(np.exp(found.x))


def _tempered(given: Given) -> Lifted:
    assert given.validation is not None, "it is among those that need one"
    known = given.validation
    temperature = best_temperature(known.logits, known.videos.labels)
    scores = given.num_views * softmax(given.logits / temperature)
    facts = {"temperature": round(temperature, 4)}
    return Lifted(scores=scores.astype(np.float32), facts=facts, is_tuned=True)


CALIBRATIONS = {"temperature": Lever(score=_tempered, needs=("validation",), keeps_answers=True)}
