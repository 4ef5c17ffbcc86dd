"""What captions ask, and by what videos are ranked: the choices of an evaluation of retrieval."""

from dataclasses import dataclass

import numpy as np

from harness.retrieval.captioned import PARAGRAPHS
from harness.retrieval.normalised import NORMALISATIONS, Normalisation
from harness.retrieval.reranking import Rerank
from vifistore.errors import UnknownNameError, UsageError

# Of the paper and its code; the other rules take the scale that the checkpoint learned.
QB_NORM_SHARPNESS = 20.0


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """What captions ask, and by what videos are ranked; raises UsageError for what ranks none."""

    paragraphs: bool = False
    """Take all captions of a video as one text, in their order."""
    rerank: Rerank | None = None
    """Score every video by its frames, by this rule; None is by its one vector."""
    normalise: Normalisation | None = None
    """Normalise scores of captions and videos by those of a bank of queries."""
    bank: str = ""
    """Split whose captions and videos are the bank; empty is the split that is scored."""
    sharpness: float | None = None
    """Inverse temperature of the normalisation. Default: 20 for qb-norm, else the scale that the
    checkpoint learned."""

    def __post_init__(self) -> None:
        if self.normalise is None:
            for flag, given in (("--bank", self.bank), ("--sharpness", self.sharpness)):
                if given:
                    rules = ", ".join(NORMALISATIONS)
                    raise UsageError(f"{flag} is of --normalise {rules}; give one, or leave it out")
        elif self.normalise not in NORMALISATIONS:
            raise UnknownNameError("normalisation", self.normalise, NORMALISATIONS)
        if self.sharpness is not None and not 0 < self.sharpness < np.inf:
            raise UsageError(f"--sharpness is {self.sharpness:g}; give a number above 0")

    @property
    def fusion(self) -> str:
        """What merges the frames of a video, as rows say it."""
        if self.rerank is None:
            return "embedding"
        settings = {"topk": self.rerank.best_frames, "weighted": self.rerank.temperature}
        setting = settings.get(self.rerank.rule)
        return self.rerank.rule if setting is None else f"{self.rerank.rule}-{setting:g}"

    @property
    def words(self) -> str:
        """How it is otherwise than each caption by its own scores; empty where it is not."""
        words = [PARAGRAPHS] if self.paragraphs else []
        if self.normalise is not None:
            at = f" at {self.sharpness:g}" if self.sharpness else ""
            by = f" by {self.bank}" if self.bank else ""
            words.append(f"{self.normalise}{at}{by}")
        return ", ".join(words)

    def sharpness_with(self, learned: float) -> float:
        """The inverse temperature, for a checkpoint that learned a scale."""
        if self.sharpness is not None:
            return self.sharpness
        return QB_NORM_SHARPNESS if self.normalise == "qb-norm" else learned
