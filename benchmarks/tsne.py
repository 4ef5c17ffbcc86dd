"""Claim: a map of 10,000 videos takes at most 1.2 times what plain openTSNE takes.

    OMP_NUM_THREADS=2 python -m benchmarks.tsne            # 10,000 x 512: two minutes
    python -m benchmarks.tsne --num-videos 200 --dim 16 --rounds 1

Both in one process, in turn, on the same vectors with the same settings.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.fusion import unit
from harness.projection.maps import Projection, embed
from vifi.bench.bench_settings import Bench
from vifi.bench.recording import script
from vifi.bench.timing import pairs

CASE = ("num_videos", "dim", "num_classes")


@dataclass(frozen=True, kw_only=True)
class Tsne(Bench):
    """Size of the benchmark."""

    num_videos: int = 10_000
    """Videos of the map."""
    dim: int = 512
    """Dimensions of an embedding."""
    num_classes: int = 100
    """Classes that the videos cluster into."""
    rounds: int = 2
    """Times that each way is measured."""


def run(settings: Tsne) -> Iterator[dict]:
    """One row: both ways in turns."""
    vectors = make_vectors(settings)
    # Imports and the first compilation of either are no part of the claim.
    embed(vectors[:100], Projection())
    ours, reference = lambda: embed(vectors, Projection()), lambda: plain(vectors)
    sizes = {name: getattr(settings, name) for name in (*CASE, "rounds")}
    yield {**sizes, **pairs(ours, reference, settings.rounds).row()}


def make_vectors(settings: Tsne) -> np.ndarray:
    """Unit vectors [video dim] around random class directions."""
    generator = np.random.default_rng(0)
    directions = generator.normal(size=(settings.num_classes, settings.dim))
    labels = np.arange(settings.num_videos) % settings.num_classes
    return unit(directions[labels] + generator.normal(size=(settings.num_videos, settings.dim)))


def plain(vectors: np.ndarray) -> np.ndarray:
    """openTSNE as its own manual calls it: [video 2]."""
    from openTSNE import TSNE

    perplexity: Any = min(30, (len(vectors) - 1) / 3)  # annotated as a whole number
    return np.asarray(TSNE(perplexity=perplexity, metric="cosine", random_state=0).fit(vectors))


if __name__ == "__main__":
    script("tsne", Tsne, run, CASE, __doc__)
