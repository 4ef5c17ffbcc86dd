"""What an approximate index loses against Flat, and what it gains: recall and latency.

An index is tuned by its effort (HNSW: candidates looked at; IVF: lists looked into), doubled until
the recall that is asked for is reached. Queries are videos of the set itself, each without itself
among the hits, and the text embeddings of its checkpoint where the store has some: texts lie
elsewhere than videos, and approximate indexes find their neighbours less often.
"""

import statistics
import time
from dataclasses import dataclass, replace

import numpy as np

from harness.fusion import unit
from harness.retrieval.indexing.indexes import Index
from vifistore.store.features import Features

# The k of recall@k.
NEIGHBOURS = 10
_MAX_EFFORT = 4096
_NUM_QUERIES = 256
_NUM_TIMED = 50


@dataclass(frozen=True, kw_only=True)
class Quality:
    """One index beside Flat."""

    recall: float
    """Share of the 10 nearest videos that it finds, a mean over queries."""
    milliseconds: float
    """Median time of one query."""
    flat_milliseconds: float
    """The same for Flat."""


def sample_queries(features: Features, flat: Index, seed: int = 0) -> np.ndarray:
    """Queries to try an index with, float32 [query dim]: videos, and texts as far as there are."""
    generator = np.random.default_rng(seed)
    count = min(_NUM_QUERIES, len(flat.rows))
    places = np.sort(generator.choice(len(flat.rows), count, replace=False))
    videos = flat.faiss.reconstruct_batch(places)
    texts = text_queries(features, videos.shape[1])
    return np.concatenate([videos, texts[generator.permutation(len(texts))[:_NUM_QUERIES]]])


def text_queries(features: Features, dim: int) -> np.ndarray:
    """Every prompt that the store has of a set's checkpoint, float32 [query dim] of unit length."""
    if not features.checkpoint:
        return np.empty((0, dim), np.float32)
    store = features.store
    digest = store.checkpoint(features.checkpoint)["text_digest"]
    sets = [store.texts(texts["id"]) for texts in store.find_texts(text_digest=digest)]
    prompts = [texts.embeddings.reshape(-1, texts.embeddings.shape[-1]) for texts in sets]
    return unit(np.concatenate([np.empty((0, dim)), *(p for p in prompts if p.shape[1] == dim)]))


def recall(index: Index, flat: Index, queries: np.ndarray, k: int = NEIGHBOURS) -> float:
    """Recall@k of `index`: the share of the k nearest videos by `flat` that it finds, a mean over
    queries [query dim].

    A query that is a video of the set is a hit of its own; it is asked for, and counts neither as
    one that is wanted nor as one of the k that are found.
    """
    cosines, right = flat.search(queries, k + 1)
    _, retrieved = index.search(queries, k + 1)
    # A cosine of 1 is the query itself, up to rounding.
    is_self = cosines[:, 0] > 1 - 1e-5
    own = np.where(is_self, right[:, 0], -1)
    shares = [
        _share_found(wanted[wanted != itself][:k], found[found != itself][:k])
        for wanted, found, itself in zip(right, retrieved, own, strict=True)
    ]
    return float(np.mean(shares))


def _share_found(relevant: np.ndarray, retrieved: np.ndarray) -> float:
    """Share of the wanted rows that are found; where there are too few videos, rows are -1."""
    relevant = relevant[relevant >= 0]
    return float(np.isin(relevant, retrieved).mean()) if len(relevant) else 1.0


def tune(index: Index, flat: Index, queries: np.ndarray, target: float) -> Index:
    """The index with the least effort, a power of two, that reaches the wanted recall of
    `queries` [query dim].

    One that never does is returned with the greatest effort.
    """
    if index.kind == "flat":
        return index
    most = min(index.faiss.nlist, _MAX_EFFORT) if index.kind == "ivf" else _MAX_EFFORT
    # HNSW cannot find more neighbours than it has candidates.
    effort = 1 if index.kind == "ivf" else 16
    while True:
        index = replace(index, effort=min(effort, most))
        if effort >= most or recall(index, flat, queries) >= target:
            return index
        effort *= 2


def measure(index: Index, flat: Index, queries: np.ndarray) -> Quality:
    """Recall and latency of an index beside Flat's for queries [query dim], timed in turns."""
    times = [
        (_milliseconds(index, query), _milliseconds(flat, query))
        for query in queries[np.linspace(0, len(queries) - 1, _NUM_TIMED).astype(int), None]
    ]
    return Quality(
        recall=recall(index, flat, queries),
        milliseconds=statistics.median(time[0] for time in times),
        flat_milliseconds=statistics.median(time[1] for time in times),
    )


def _milliseconds(index: Index, query: np.ndarray) -> float:
    start = time.perf_counter()
    index.search(query, NEIGHBOURS)
    return 1e3 * (time.perf_counter() - start)
