"""From cosines to probabilities, in one place: by a softmax over the classes, or by the sigmoid of
each class alone.

In a file of its own, as softmax is: `harness.fusion` imports further fusions, and these import it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.softmax import softmax


@dataclass(frozen=True)
class Link:
    """What a text tower was trained to make of cosines z.

    softmax(scale z) over the classes (CLIP), or, where there is a bias, sigmoid(scale z + bias) of
    each class without the others (Zhai et al. 2023, Sigmoid Loss for Language Image Pre-Training,
    algorithm 1): such probabilities do not sum to one.
    """

    scale: float
    bias: float | None = None
    """Of the sigmoid; None is a softmax."""

    @property
    def is_sigmoid(self) -> bool:
        """Whether each class has a probability of its own."""
        return self.bias is not None

    def logits(self, cosines: np.ndarray) -> np.ndarray:
        """scale z + bias of cosines [... class]."""
        scaled = cosines * np.float32(self.scale)
        return scaled if self.bias is None else scaled + np.float32(self.bias)

    def probabilities_of(self, logits: np.ndarray) -> np.ndarray:
        """What logits [... class] are as probabilities [... class]."""
        # 1 / (1 + exp(-logit)), that cannot overflow.
        return np.exp(-np.logaddexp(0, -logits)) if self.is_sigmoid else softmax(logits)

    def probabilities(self, cosines: np.ndarray) -> np.ndarray:
        """Cosines [... class] -> probabilities [... class]."""
        return self.probabilities_of(self.logits(cosines))


def link_of(record: Mapping) -> Link:
    """The link of a text set's attributes, or of a checkpoint's record."""
    bias = record.get("logit_bias")
    return Link(float(record["logit_scale"]), None if bias is None else float(bias))
