"""The speeds that the project sets itself on a GPU, held against measured rows."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

COPY_SHARE = 0.85
SPEED_OVER_EAGER = 2.0
MEMORY_OF_EAGER = 0.1
MATMUL_SHARE = 0.6
# Of an H200, whose matrix units are those of an H100; the paper's A100: 1,138.
FRAMES_PER_SECOND = {"H200": 13_000.0}
SHARE_OF_SLOWER = 0.9
TRAINING_SHARE = 0.4

POOL_COPY = "temporal_pool, share of a copy's bandwidth"
POOL_EAGER = "temporal_pool, speed over eager"
POOL_COMPILED = "temporal_pool, speed over torch.compile"
LOSS_EAGER = "fusion_cross_entropy, speed over eager"
LOSS_MEMORY = "fusion_cross_entropy, memory beyond inputs and gradients over eager's"
ENCODE_SHARE = "ViT-B-16, share of the matrix product's rate"
ENCODE_FRAMES = "ViT-B-16, frames a second"
FROM_FILES = "from files, share of the slower of decoding and encoding alone"
TRAINING = "training from memory, share of the matrix product's rate"

BENCHMARK_OF = {
    **dict.fromkeys((POOL_COPY, POOL_EAGER, POOL_COMPILED, LOSS_EAGER, LOSS_MEMORY), "kernels"),
    **dict.fromkeys((ENCODE_SHARE, ENCODE_FRAMES), "encode"),
    FROM_FILES: "from_files",
    TRAINING: "training",
}
"""Every kind of target, and the benchmark whose rows speak of it."""


class SpeedTarget(NamedTuple):
    """One target, and what was reached."""

    kind: str
    """What it is about: one of those above."""
    of: str
    """Of which size or way it was measured; empty where there is one alone."""
    wanted: str
    reached: float
    is_reached: bool
    share: float
    """How much of the target was reached: 1 and more is enough."""

    @property
    def what(self) -> str:
        """What was measured."""
        name, _, measure = self.kind.partition(", ")
        return f"{name}, {self.of}, {measure}" if self.of else self.kind


def targets(rows: Sequence[dict]) -> list[SpeedTarget]:
    """The targets that these rows speak of; they are for kernels and a GPU."""
    found = []
    for benchmark, speak in _SPEAKERS.items():
        found += speak([row for row in rows if row["benchmark"] == benchmark])
    return found


def worst(found: Iterable[SpeedTarget]) -> dict[str, SpeedTarget]:
    """Of each kind the one that is farthest from being reached."""
    lowest: dict[str, SpeedTarget] = {}
    for target in found:
        if target.kind not in lowest or target.share < lowest[target.kind].share:
            lowest[target.kind] = target
    return lowest


def _kernel_targets(rows: Sequence[dict]) -> Iterator[SpeedTarget]:
    for ways in _cases(rows, "temporal_pool forward"):
        row = ways["chosen"]
        of = f"{row['frames']} frames, {row['dim']} dimensions"
        share = row["gigabytes_per_second"] / row["copy_gigabytes_per_second"]
        yield _at_least(POOL_COPY, of, share, COPY_SHARE)
        yield _at_least(POOL_EAGER, of, _speed(ways, "reference"), SPEED_OVER_EAGER)
        if "compiled" in ways:
            yield _at_least(POOL_COMPILED, of, _speed(ways, "compiled"), 1.0)
    for ways in _cases(rows, "fusion_cross_entropy image forward and backward"):
        yield _at_least(LOSS_EAGER, "", _speed(ways, "reference"), SPEED_OVER_EAGER)
        extra = [ways[way]["extra_bytes"] for way in ("chosen", "reference")]
        if None not in extra and extra[1]:
            yield _at_most(LOSS_MEMORY, "", extra[0] / extra[1], MEMORY_OF_EAGER)


def _encode_targets(rows: Sequence[dict]) -> Iterator[SpeedTarget]:
    wanted = {"device_type": "cuda", "precision": "bf16", "model": "ViT-B-16"}
    rows = [row for row in rows if wanted.items() <= row.items()]
    if not rows:
        return
    best = max(rows, key=lambda row: row["share_of_matmul"])
    yield _at_least(ENCODE_SHARE, "", best["share_of_matmul"], MATMUL_SHARE)
    for name, rate in FRAMES_PER_SECOND.items():
        if name in best.get("device", ""):
            yield _at_least(ENCODE_FRAMES, "", best["frames_per_second"], rate)


def _file_targets(rows: Sequence[dict]) -> Iterator[SpeedTarget]:
    for row in rows:
        if row["device_type"] == "cuda" and "skipped" not in row:
            yield _at_least(FROM_FILES, row["decoder"], row["share_of_slower"], SHARE_OF_SLOWER)


def _training_targets(rows: Sequence[dict]) -> Iterator[SpeedTarget]:
    wanted = {"device_type": "cuda", "way": "memory", "is_compiled": True}
    rows = [row for row in rows if wanted.items() <= row.items() and row["matmul_share"]]
    if rows:
        best = max(row["matmul_share"] for row in rows)
        yield _at_least(TRAINING, "", best, TRAINING_SHARE)


_SPEAKERS: dict[str, Callable[[Sequence[dict]], Iterator[SpeedTarget]]] = {
    "kernels": _kernel_targets,
    "encode": _encode_targets,
    "from_files": _file_targets,
    "training": _training_targets,
}


def _cases(rows: Sequence[dict], name: str) -> list[dict[str, dict]]:
    """Ways by name of each size of a case, where the kernel ran."""
    cases: dict[tuple, dict[str, dict]] = {}
    for row in rows:
        if row["case"] == name:
            sizes = (row["views"], row["frames"], row["dim"], row["dtype"])
            cases.setdefault(sizes, {})[row["way"]] = row
    # A benchmark that was stopped may have measured one way alone.
    whole = [ways for ways in cases.values() if {"chosen", "reference"} <= ways.keys()]
    return [ways for ways in whole if ways["chosen"]["path"] == "kernel"]


def _speed(ways: dict[str, dict], other: str) -> float:
    return ways[other]["p50_ms"] / ways["chosen"]["p50_ms"]


def _at_least(kind: str, of: str, reached: float, wanted: float) -> SpeedTarget:
    share = reached / wanted
    return SpeedTarget(kind, of, f"at least {wanted:g}", reached, reached >= wanted, share)


def _at_most(kind: str, of: str, reached: float, wanted: float) -> SpeedTarget:
    share = wanted / max(reached, 1e-12)
    return SpeedTarget(kind, of, f"at most {wanted:g}", reached, reached <= wanted, share)
