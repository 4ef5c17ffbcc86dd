"""Several queries as one: what a video must show all of, and what it must not.

    query = Query(wanted=vectors_of("a dog", "snow"), unwanted=vectors_of("people"))
    (hits,) = searcher.search([query])

A query of one term scores as ever, by its cosine c. Cosines of several are of different heights:
those of a picture lie above those of words, and some words are near to every video. So each term t
is brought to zero mean and unit variance over all videos v that are searched, filters aside
(Montague and Aslam 2001, Relevance score normalization for metasearch),

    z_t(v) = (c_t(v) - mean_v c_t) / std_v c_t

and what is wanted is joined by the minimum (CombMIN of Fox and Shaw 1994, Combination of multiple
searches): a video is as good as it answers the term that it answers worst. What is not wanted takes
off by how much more than the average video it shows of it:

    score(v) = min_wanted z_t(v) - max(0, max_unwanted z_t(v))
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vifistore.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Query:
    """What a video must show all of, and what it must not."""

    wanted: np.ndarray
    """float32 [term dim], of any length; one or more."""
    unwanted: np.ndarray | None = None
    """float32 [term dim]."""
    words: str = ""
    """What is looked for among captions, labels and ids as well; nothing if empty."""

    @property
    def terms(self) -> np.ndarray:
        """All of them, what is wanted first: float32 [term dim]. Raises UsageError for none that is
        wanted."""
        wanted = np.atleast_2d(np.asarray(self.wanted, np.float32))
        if not wanted.size:
            raise UsageError("a query has nothing that it looks for; give it one wanted term")
        if self.unwanted is None or not np.size(self.unwanted):
            return wanted
        return np.concatenate([wanted, np.atleast_2d(np.asarray(self.unwanted, np.float32))])

    @property
    def num_wanted(self) -> int:
        """How many of the terms are wanted; they come first."""
        return len(np.atleast_2d(self.wanted))

    @property
    def is_plain(self) -> bool:
        """Whether it is one term, which scores by its cosine."""
        return len(self.terms) == 1


Queries = np.ndarray | Sequence[Query]
"""Queries of one term each, float32 [query dim] of any length, or of several."""


@dataclass(frozen=True, kw_only=True)
class CosineScale:
    """What cosines of terms are told by: their mean and their deviation over all videos."""

    means: np.ndarray
    """float32 [term]"""
    deviations: np.ndarray
    """float32 [term]"""

    @classmethod
    def of(cls, cosines: Sequence[np.ndarray]) -> "CosineScale":
        """By the cosines of each source, float32 [term video]; of videos that are all alike a term
        tells nothing."""
        every = np.concatenate(list(cosines), axis=1).astype(np.float64)
        means, deviations = every.mean(axis=1), every.std(axis=1)
        # Of one video, or of equal ones, rounding is all that there is.
        deviations[deviations < 1e-7] = np.inf
        return cls(means=means.astype(np.float32), deviations=deviations.astype(np.float32))

    def scores(self, cosines: np.ndarray, num_wanted: int) -> np.ndarray:
        """Scores of videos by their cosines [term ...], the terms that are wanted first: [...]."""
        shape = (-1, *[1] * (cosines.ndim - 1))
        # What counts for nothing has minus infinity, of which no deviation can be told.
        finite = np.where(np.isneginf(cosines), 0, cosines)
        standard = (finite - self.means.reshape(shape)) / self.deviations.reshape(shape)
        scores = standard[:num_wanted].min(axis=0)
        if len(standard) > num_wanted:
            scores = scores - np.maximum(standard[num_wanted:].max(axis=0), 0)
        return np.where(np.isneginf(cosines[0]), -np.inf, scores).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class JoinedQuery:
    """A query whose cosines become one score, whatever they are of."""

    terms: np.ndarray
    """float32 [term dim] of unit length, those that are wanted first."""
    num_wanted: int
    scale: CosineScale | None = None
    """None where there is but one term."""

    def scores(self, cosines: np.ndarray) -> np.ndarray:
        """Scores by cosines with the terms, float32 [term ...]: [...]."""
        return cosines[0] if self.scale is None else self.scale.scores(cosines, self.num_wanted)

    @property
    def probes(self) -> np.ndarray:
        """Vectors that what answers is near to, float32 [probe dim] of unit length: every wanted
        term, and the mean of all, each as long as its cosines are told by."""
        wanted = self.terms[: self.num_wanted]
        if self.scale is None or self.num_wanted == 1:
            return wanted
        joined = (wanted / self.scale.deviations[: self.num_wanted, None]).sum(axis=0)
        length = np.linalg.norm(joined)
        return np.concatenate([wanted, (joined / length)[None]]) if length > 0 else wanted
