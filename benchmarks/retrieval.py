"""Claims: Flat search costs what its matrix product costs; approximate indexes are far faster.

    python -m benchmarks.retrieval                    # ten minutes and 6 GB of memory
    python -m benchmarks.retrieval --num-flat 20000 --num-clustered 5000 --num-clusters 50

*flat*: the 10 nearest of 1,000,000 x 512 for 1, 16 and 64 queries at once, in turns with a NumPy
matrix product and argpartition on the same vectors. Expected: at most 1.3 times its time, and
less memory, for no matrix of all scores is made.

*clustered*: 100,000 x 512 around 1,000 centres; HNSW and IVF tuned to a recall@10 of 0.95 on new
points, one query at a time. Expected: 10 times faster than Flat, one of them at least.

Floor: every vector is read once, 2 GB for one query, at the speed of the memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import faiss
import numpy as np

from harness.fusion import unit
from harness.retrieval.indexing.indexes import Index, Kind, empty_index
from harness.retrieval.quality import NEIGHBOURS, measure, tune
from vifi.bench.bench_settings import Bench
from vifi.bench.recording import script
from vifi.bench.timing import elapsed, extra_mebibytes, pairs, pairs_of

CASE = ("measure", "kind", "vectors", "dim", "queries")
_BLOCK = 50_000


@dataclass(frozen=True, kw_only=True)
class RetrievalBenchmark(Bench):
    """Sizes of the benchmark."""

    num_flat: int = 1_000_000
    """Vectors of the Flat search."""
    num_clustered: int = 100_000
    """Vectors of the approximate searches."""
    num_clusters: int = 1000
    """Centres that they lie around."""
    dim: int = 512
    """Dimensions of a vector."""
    query_counts: tuple[int, ...] = (1, 16, 64)
    """Queries of one Flat search."""
    kinds: tuple[Kind, ...] = ("ivf", "hnsw")
    """Approximate indexes to build; HNSW takes most of the time."""
    recall: float = 0.95
    """Recall@10 that they are tuned to."""
    pairs: int = 5
    """Times that each measure is taken, in turns with what it is compared with."""


def run(settings: RetrievalBenchmark) -> Iterator[dict]:
    """A row per measure."""
    yield from flat_rows(settings)
    yield from clustered_rows(settings)


def flat_rows(settings: RetrievalBenchmark) -> Iterator[dict]:
    """Flat against NumPy, a row per number of queries."""
    index = Index(faiss=random_index(settings), rows=np.arange(settings.num_flat), kind="flat")
    # The index's own memory: a second copy would be another 2 GB.
    size, flat = settings.num_flat * settings.dim, cast(faiss.IndexFlat, index.faiss)
    vectors = faiss.rev_swig_ptr(flat.get_xb(), size).reshape(-1, settings.dim)
    generator = np.random.default_rng(1)
    for count in settings.query_counts:
        queries = unit(generator.standard_normal((count, settings.dim), np.float32))

        def ours(queries=queries):
            return index.search(queries, NEIGHBOURS)

        def plain(queries=queries):
            scores = queries @ vectors.T
            return np.argpartition(scores, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS:]

        check_same(ours()[1], plain())
        yield {
            **row("flat", "flat", settings.num_flat, settings, count),
            **pairs(ours, plain, settings.pairs).row(),
            "recall_at_10": 1.0,
            "mebibytes": round(extra_mebibytes(ours), 1),
            "reference_mebibytes": round(extra_mebibytes(plain), 1),
        }


def clustered_rows(settings: RetrievalBenchmark) -> Iterator[dict]:
    """HNSW and IVF against Flat on clustered vectors."""
    vectors, queries = clustered(settings)
    places = np.arange(len(vectors))
    flat = Index(faiss=filled("flat", vectors), rows=places, kind="flat")
    for kind in settings.kinds:
        made: list[faiss.Index] = []
        taken = elapsed(lambda kind=kind, made=made: made.append(filled(kind, vectors)))
        index = Index(faiss=made[0], rows=places, kind=kind, effort=1)
        tuned = tune(index, flat, queries, settings.recall)
        found = [measure(tuned, flat, queries) for _ in range(settings.pairs)]
        yield {
            **row("clustered", kind, settings.num_clustered, settings, 1),
            **pairs_of((q.milliseconds / 1e3, q.flat_milliseconds / 1e3) for q in found).row(),
            "recall_at_10": round(found[0].recall, 4),
            "build_seconds": round(taken, 1),
        }


def row(measure: str, kind: str, num: int, settings: RetrievalBenchmark, count: int) -> dict:
    """What was measured."""
    return {
        "measure": measure,
        "kind": kind,
        "vectors": num,
        "dim": settings.dim,
        "queries": count,
        "threads": faiss.omp_get_max_threads(),
    }


def random_index(settings: RetrievalBenchmark) -> faiss.Index:
    """A Flat index of random unit vectors."""
    index = empty_index("flat", settings.dim, settings.num_flat)
    generator = np.random.default_rng(0)
    for start in range(0, settings.num_flat, _BLOCK):
        count = min(_BLOCK, settings.num_flat - start)
        index.add(unit(generator.standard_normal((count, settings.dim), np.float32)))
    return index


def clustered(settings: RetrievalBenchmark) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors [vector dim] around random centres; new points around the same, as queries."""
    generator = np.random.default_rng(2)
    centres = generator.standard_normal((settings.num_clusters, settings.dim), np.float32)

    def around(count: int) -> np.ndarray:
        chosen = generator.integers(0, settings.num_clusters, count)
        noise = generator.standard_normal((count, settings.dim), np.float32)
        return unit(centres[chosen] + noise)

    return around(settings.num_clustered), around(256)


def filled(kind: Kind, vectors: np.ndarray) -> faiss.Index:
    """An index of vectors float32 [vector dim]."""
    index = empty_index(kind, vectors.shape[1], len(vectors))
    if not index.is_trained:
        index.train(vectors[: 64 * cast(faiss.IndexIVF, index).nlist])
    index.add(vectors)
    return index


def check_same(found: np.ndarray, expected: np.ndarray) -> None:
    """Raise AssertionError unless both found the same vectors, numbers [query neighbour]."""
    if not np.array_equal(np.sort(found, axis=1), np.sort(expected, axis=1)):
        raise AssertionError("Flat and NumPy do not find the same vectors")


if __name__ == "__main__":
    script("retrieval", RetrievalBenchmark, run, CASE, __doc__)
