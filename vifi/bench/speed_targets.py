"""The speeds that the project sets itself on a GPU, held against measured rows."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

COPY_SHARE = 0.85
SPEED_OVER_EAGER = 2.0
MEMORY_OF_EAGER = 0.1
MATMUL_SHARE = 0.6


class SpeedTarget(NamedTuple):
    """One target, and what was reached."""

    what: str
    wanted: str
    reached: float
    is_reached: bool


def targets(rows: Sequence[dict]) -> list[SpeedTarget]:
    """The targets that these rows speak of; they are for kernels and a GPU."""
    kernels = [row for row in rows if row["benchmark"] == "kernels"]
    encoding = [row for row in rows if row["benchmark"] == "encode"]
    return [*_pool_targets(kernels), *_loss_targets(kernels), *_encode_targets(encoding)]


def _pool_targets(rows: Sequence[dict]) -> Iterator[SpeedTarget]:
    for ways in _cases(rows, "temporal_pool forward"):
        row = ways["chosen"]
        what = f"temporal_pool, {row['frames']} frames, {row['dim']} dimensions"
        share = row["gigabytes_per_second"] / row["copy_gigabytes_per_second"]
        yield _at_least(f"{what}, share of a copy's bandwidth", share, COPY_SHARE)
        yield _at_least(f"{what}, speed over eager", _speed(ways, "reference"), SPEED_OVER_EAGER)
        if "compiled" in ways:
            yield _at_least(f"{what}, speed over torch.compile", _speed(ways, "compiled"), 1.0)


def _loss_targets(rows: Sequence[dict]) -> Iterator[SpeedTarget]:
    for ways in _cases(rows, "fusion_cross_entropy image forward and backward"):
        what = "fusion_cross_entropy"
        yield _at_least(f"{what}, speed over eager", _speed(ways, "reference"), SPEED_OVER_EAGER)
        extra = [ways[way]["extra_bytes"] for way in ("chosen", "reference")]
        if None not in extra and extra[1]:
            share = extra[0] / extra[1]
            yield SpeedTarget(
                f"{what}, memory beyond inputs and gradients over eager's",
                f"at most {MEMORY_OF_EAGER}",
                share,
                share <= MEMORY_OF_EAGER,
            )


def _encode_targets(rows: Sequence[dict]) -> Iterator[SpeedTarget]:
    wanted = {"device_type": "cuda", "precision": "bf16", "model": "ViT-B-16"}
    shares = [row["share_of_matmul"] for row in rows if wanted.items() <= row.items()]
    if shares:
        yield _at_least("ViT-B-16, share of the matrix product's rate", max(shares), MATMUL_SHARE)


def _cases(rows: Sequence[dict], name: str) -> list[dict[str, dict]]:
    """Ways by name of each size of a case, where the kernel ran."""
    cases: dict[tuple, dict[str, dict]] = {}
    for row in rows:
        if row["case"] == name:
            cases.setdefault((row["views"], row["frames"], row["dim"]), {})[row["way"]] = row
    return [ways for ways in cases.values() if ways["chosen"]["path"] == "kernel"]


def _speed(ways: dict[str, dict], other: str) -> float:
    return ways[other]["p50_ms"] / ways["chosen"]["p50_ms"]


def _at_least(what: str, reached: float, wanted: float) -> SpeedTarget:
    return SpeedTarget(what, f"at least {wanted}", reached, reached >= wanted)
