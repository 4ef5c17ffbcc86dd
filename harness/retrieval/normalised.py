"""Scores normalised over what else asks: against items that are near to every query (hubs).

Of similarities s(q, v) of queries q and items v, with an inverse temperature b and a bank of
queries q'

    inverted softmax   exp(b s(q, v)) / sum_q' exp(b s(q', v))
    dual softmax       s(q, v) times that; not the product of two softmaxes, which is
                       `harness/mutual_softmax.py`
    QB-Norm            the first where the best v of q is the best v of any q', else s(q, v)

Inverted softmax: Smith et al. 2017, arXiv 1702.03859, section 2.3. Dual softmax: Cheng et al. 2021,
arXiv 2109.04290, section 3.3. QB-Norm: Bogolin et al. 2022, arXiv 2112.12777, section 3.3, as in
github.com/ioanacroi/qb-norm (dynamic_inverted_softmax.py, k = 1). Where the bank is all that is
asked in the evaluation itself, a rank depends on the other queries: it is transductive.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from harness.retrieval.likeness import Likeness

Normalisation = Literal["dual-softmax", "inverted-softmax", "qb-norm"]
NORMALISATIONS: tuple[Normalisation, ...] = get_args(Normalisation)


@dataclass(frozen=True, kw_only=True)
class Normaliser:
    """What a bank of queries says of every item."""

    rule: Normalisation
    sharpness: float
    """The inverse temperature b."""
    log_sums: np.ndarray
    """float64 [item]: log of the sum over the bank of exp(b s)."""
    is_hub: np.ndarray
    """bool [item]: the best one of a query of the bank."""

    def scores(self, likeness: np.ndarray) -> np.ndarray:
        """Similarities [query item] -> scores float64 [query item], to be compared within a query
        alone: in the order of those above, and not as large."""
        likeness = likeness.astype(np.float64)
        logs = self.sharpness * likeness - self.log_sums
        if self.rule == "inverted-softmax":
            return logs
        if self.rule == "dual-softmax":
            return _in_order(likeness, logs)
        return np.where(self.is_hub[likeness.argmax(axis=1)][:, None], logs, likeness)


def _in_order(likeness: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """What is ordered within a query as likeness exp(logs), both [query item], whose powers leave
    the numbers that a computer has where the inverse temperature is large."""
    is_there = likeness != 0
    sizes = np.log(np.abs(likeness), out=np.zeros_like(likeness), where=is_there) + logs
    least = sizes.min(axis=1, keepdims=True, where=is_there, initial=np.inf)
    from_one = np.subtract(sizes, least, out=np.zeros_like(sizes), where=is_there) + 1
    return np.sign(likeness) * from_one


def normaliser(
    rule: Normalisation, sharpness: float, bank: Iterable[np.ndarray], num_items: int
) -> Normaliser:
    """From similarities [query item] of a bank, a part at a time."""
    log_sums, is_hub = np.full(num_items, -np.inf), np.zeros(num_items, bool)
    for likeness in bank:
        powers = sharpness * likeness.astype(np.float64)
        most = powers.max(axis=0)
        here = most + np.log(np.exp(powers - most).sum(axis=0))
        log_sums = np.logaddexp(log_sums, here)
        is_hub[likeness.argmax(axis=1)] = True
    return Normaliser(rule=rule, sharpness=sharpness, log_sums=log_sums, is_hub=is_hub)


@dataclass(frozen=True, kw_only=True)
class NormalisedLikeness:
    """Another likeness, normalised both ways."""

    plain: Likeness
    videos: Normaliser
    """Of the videos, by texts."""
    texts: Normaliser
    """Of the texts, by videos."""

    @property
    def counts(self) -> tuple[int, int]:
        """How many texts and videos."""
        return self.plain.counts

    def of_texts(self, texts: np.ndarray) -> np.ndarray:
        """Scores of every video for these texts, int64 [text], float64 [text video]."""
        return self.videos.scores(self.plain.of_texts(texts))

    def of_videos(self, videos: np.ndarray) -> np.ndarray:
        """Scores of every text for these videos, int64 [video], float64 [video text]."""
        return self.texts.scores(self.plain.of_videos(videos))
