"""Claim: a map of 10,000 videos takes at most 1.2 times what plain openTSNE takes.

    OMP_NUM_THREADS=2 python benchmarks/tsne.py            # 10,000 x 512: about a minute
    python benchmarks/tsne.py --num-videos 200 --dim 16 --rounds 1

Both in one process, in turn, on the same vectors with the same settings; the ratio is that of the
faster round of each. The row is added to `benchmarks/results/tsne.jsonl`.
"""

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import tyro

from harness.fusion import unit
from harness.projection.maps import Projection, embed

RESULTS = Path(__file__).parent / "results" / "tsne.jsonl"


@dataclass(frozen=True, kw_only=True)
class Tsne:
    """Size of the benchmark."""

    num_videos: int = 10_000
    """Videos of the map."""
    dim: int = 512
    """Dimensions of an embedding."""
    num_classes: int = 100
    """Classes that the videos cluster into."""
    rounds: int = 2
    """Times that each way is measured."""
    results: Path = RESULTS
    """File that the row is added to."""


def main(settings: Tsne) -> None:
    """Measure, add the row to the results and print it."""
    row = run(settings)
    settings.results.parent.mkdir(parents=True, exist_ok=True)
    with open(settings.results, "a") as file:
        file.write(json.dumps(row) + "\n")
    print(json.dumps(row, indent=1))


def run(settings: Tsne) -> dict:
    """One row: seconds of both ways, their ratio, machine and versions."""
    vectors = make_vectors(settings)
    ways = {"ours": lambda: embed(vectors, Projection()), "plain": lambda: plain(vectors)}
    # Imports and the first compilation of either are no part of the claim.
    embed(vectors[:100], Projection())
    seconds = {name: [] for name in ways}
    for _ in range(settings.rounds):
        for name, way in ways.items():
            seconds[name].append(timed(way))
    best = {name: min(found) for name, found in seconds.items()}
    return {
        **{key: value for key, value in asdict(settings).items() if key != "results"},
        **{f"{name}_seconds": [round(s, 2) for s in found] for name, found in seconds.items()},
        "ratio": round(best["ours"] / best["plain"], 3),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("numpy", "openTSNE", "scikit-learn")},
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def make_vectors(settings: Tsne) -> np.ndarray:
    """Unit vectors [video dim] around random class directions."""
    generator = np.random.default_rng(0)
    directions = generator.normal(size=(settings.num_classes, settings.dim))
    labels = np.arange(settings.num_videos) % settings.num_classes
    return unit(directions[labels] + generator.normal(size=(settings.num_videos, settings.dim)))


def plain(vectors: np.ndarray) -> np.ndarray:
    """openTSNE as its own manual calls it."""
    from openTSNE import TSNE

    perplexity = min(30, (len(vectors) - 1) / 3)
    return np.asarray(TSNE(perplexity=perplexity, metric="cosine", random_state=0).fit(vectors))


def timed(call: Callable[[], np.ndarray]) -> float:
    """Seconds that one call took."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main(tyro.cli(Tsne))
