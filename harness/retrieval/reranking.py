"""The second stage of a search: the best of the first are ranked anew by their frames.

The first stage compares a query q with one vector of each video. Of the best of these the frames
x_f that count are read, all views together, u_f = x_f / |x_f|, and the video scores

    maxsim      max_f u_f.q
    topk        mean of the k largest u_f.q, of all where there are fewer
    weighted    cos(sum_f w_f x_f, q),  w = softmax_f(u_f.q / temperature)

maxsim is the late interaction of ColBERT (Khattab and Zaharia 2020) for a query of one vector.
weighted is the query scoring of Bain et al. 2022, A CLIP-Hitchhiker's Guide to Long Video Retrieval
(arXiv 2205.08508), at the temperature of its code, 0.1 (m-bain/clip-hitchhiker, query_scoring.py).

A search reads only the frames of these videos, and not the chunks that hold them: what is read is
not held against its checksums, as `vifi verify` does. A frame that is zero or not finite is
refused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from harness.frame_cosines import frame_cosines
from harness.fusion import ATTENTION_TEMPERATURE
from harness.retrieval.filters import TimeFilter
from harness.softmax import softmax
from harness.vector_reading import read_frames, require_usable
from vifistore.errors import UnknownNameError, UsageError
from vifistore.store.features import Features

Rule = Literal["maxsim", "topk", "weighted"]
RULES: tuple[Rule, ...] = get_args(Rule)


@dataclass(frozen=True, kw_only=True)
class Rerank:
    """How the frames of candidates rank them. Raises UsageError for settings that rank nothing."""

    rule: Rule
    candidates: int = 100
    """How many of the best by their video vectors are looked at; as many as are asked for, where
    these are more."""
    best_frames: int = 4
    """Frames that topk takes the mean of."""
    temperature: float = ATTENTION_TEMPERATURE
    """Of the softmax of weighted."""

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise UnknownNameError("rule of reranking", self.rule, RULES)
        if self.candidates < 1:
            raise UsageError(f"--candidates is {self.candidates}; give 1 or more")
        if self.best_frames < 1:
            raise UsageError(f"--best-frames is {self.best_frames}; give 1 or more")
        if not 0 < self.temperature < np.inf:
            raise UsageError(f"--temperature is {self.temperature:g}; give a number above 0")


def frame_scores(
    features: Features,
    rows: np.ndarray,
    queries: np.ndarray,
    how: Rerank,
    times: TimeFilter,
    *,
    verify: bool = False,
) -> np.ndarray:
    """Score of each of `rows`, int64 [row], for each query by its frames, float32 [query row].

    queries: float32 [query dim] of unit length. Frames outside of `times` are left out; of a row
    that has none within them the score is minus infinity. With `verify` chunks are read whole, and
    held against their checksums. Raises UsageError for a set without frames, DamagedError for
    frames that are none, or not those that were written.
    """
    scores = np.full((len(queries), len(rows)), -np.inf, np.float32)
    score = _SCORES[how.rule]
    for positions, frames, counts in read_frames(features, rows, verify=verify):
        vectors = frames.reshape(len(frames), -1, frames.shape[-1])
        cosines, usable = frame_cosines(vectors.reshape(-1, vectors.shape[-1]), queries)
        require_usable(usable.reshape(counts.shape) | ~counts, rows[positions], features, "frames")
        if times.bounds_frames:
            features.require_array("timestamps")
            seconds = features.read_chosen("timestamps", rows[positions], verify=False)
            counts &= times.has_frames(seconds)
        counted = counts.reshape(len(counts), -1, 1)
        cosines = np.where(counted, cosines.reshape(*counted.shape[:2], -1), -np.inf)
        has_any = counted.any(axis=(1, 2))
        if has_any.any():
            found = score(how, vectors[has_any], cosines[has_any], queries)
            scores[:, positions[has_any]] = found.T
    return scores


def span_score(
    features: Features,
    rows: np.ndarray,
    queries: np.ndarray,
    how: Rerank,
    span: tuple[float, float],
    times: TimeFilter,
) -> np.ndarray:
    """Score of the frames of `rows`, int64 [row], that lie between two seconds of their file, for
    each query, float32 [query]; as `frame_scores` scores a row. Minus infinity where there is
    none."""
    vectors, cosines = [], []
    for positions, frames, counts in read_frames(features, rows, verify=False):
        seconds = features.read_chosen("timestamps", rows[positions], verify=False)
        inside = counts & (seconds >= span[0]) & (seconds <= span[1])
        inside &= times.has_frames(seconds) if times.bounds_frames else True
        if inside.any():
            found, usable = frame_cosines(frames[inside], queries)
            owners = np.broadcast_to(rows[positions][:, None, None], inside.shape)[inside]
            require_usable(usable[:, None], owners, features, "frames")
            vectors.append(frames[inside])
            cosines.append(found)
    if not vectors:
        return np.full(len(queries), -np.inf, np.float32)
    of_all = np.concatenate(vectors)[None], np.concatenate(cosines)[None]
    return _SCORES[how.rule](how, *of_all, queries)[0].astype(np.float32)


def _maxsim(_: Rerank, vectors: np.ndarray, cosines: np.ndarray, queries: np.ndarray) -> np.ndarray:
    return cosines.max(axis=1)


def _topk(how: Rerank, vectors: np.ndarray, cosines: np.ndarray, queries: np.ndarray) -> np.ndarray:
    count = min(how.best_frames, cosines.shape[1])
    largest = np.partition(cosines, -count, axis=1)[:, -count:]
    are_frames = np.isfinite(largest)
    return np.where(are_frames, largest, 0).sum(axis=1) / are_frames.sum(axis=1)


def _weighted(
    how: Rerank, vectors: np.ndarray, cosines: np.ndarray, queries: np.ndarray
) -> np.ndarray:
    weights = softmax(cosines / np.float32(how.temperature), axis=1)
    pooled = np.matmul(weights.transpose(0, 2, 1), vectors.astype(np.float32))
    lengths = np.sqrt(np.einsum("rqd,rqd->rq", pooled, pooled))
    products = np.einsum("rqd,qd->rq", pooled, queries)
    # Frames that cancel each other out point nowhere.
    return np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)


# From frames [row frame dim], their cosines [row frame query], minus infinity of those that do not
# count, and queries [query dim] to scores [row query].
_SCORES: dict[str, Callable[..., np.ndarray]] = {
    "maxsim": _maxsim,
    "topk": _topk,
    "weighted": _weighted,
}
