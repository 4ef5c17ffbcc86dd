"""What a lever is given, and what it gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from harness.scoring import Classes, Videos

Need = Literal["descriptions", "ensemble", "validation", "frames"]

# Below the least probability that float32 holds, so that a logarithm is finite.
_LEAST = 1e-38


@dataclass(frozen=True, kw_only=True)
class Given:
    """A plain score, and what it was made of."""

    videos: Videos
    classes: Classes
    fusion: str
    """Fusion of the plain score."""
    scores: np.ndarray
    """float32 [video class]: probabilities summed over views."""
    described: Classes | None = None
    """What the classes are described by, where descriptions are given."""
    others: tuple["Given", ...] = ()
    """Plain scores of the same videos by other feature sets."""
    validation: "Given | None" = None
    """The same of the validation split, where there is one."""
    kin: Mapping[str, Callable[[], "Given"]] = field(default_factory=dict)
    """What scores the same videos by other weights of the run, by their kind."""

    @property
    def num_views(self) -> int:
        """How many views were summed over."""
        return int(self.videos.features.view_mean.shape[1])

    @property
    def probabilities(self) -> np.ndarray:
        """Means over views, float64 [video class]."""
        return self.scores.astype(np.float64) / self.num_views

    @property
    def logits(self) -> np.ndarray:
        """Logarithms of the probabilities, float64 [video class]: of one view and a softmax the
        logits that it was made of, up to a number that is the same for all classes."""
        return np.log(np.maximum(self.probabilities, _LEAST))


@dataclass(frozen=True, kw_only=True)
class Lifted:
    """Scores of a lever."""

    scores: np.ndarray
    """[video class], as those that it was given."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """What was chosen or counted on the way, for the provenance."""
    is_tuned: bool = False
    """Whether labels of the validation split chose something."""


@dataclass(frozen=True, kw_only=True)
class Lever:
    """One way to lift a score."""

    score: Callable[[Given], Lifted]
    is_transductive: bool = False
    """Whether the score of a video depends on the other videos that are scored."""
    keeps_answers: bool = False
    """Whether the best class of every video stays what it is, of all videos that there are."""
    needs: tuple[Need, ...] = ()
    """What it cannot do without."""


def likelihood_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log-likelihood of the right classes, of probabilities [video class] and labels
    [video]."""
    right = np.take_along_axis(probabilities, labels[:, None].astype(np.int64), axis=1)
    return float(-np.log(np.maximum(right.astype(np.float64), _LEAST)).mean())
