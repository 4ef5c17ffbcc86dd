"""What ten million videos cost, from the rows that were measured and from prices that are assumed.

    python -m benchmarks.cluster_plan      # writes the tables into docs/CLUSTER.md

A plan, no measurement: requests and decoding are those of the newest rows here, bytes follow from
the arrays of a set, the rates of GPUs and the prices are assumptions that stand below.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from vifi.bench.recording import COMMITTED, read_rows
from vifistore.store.schema import BLOCK_SIZE, FEATURE_ARRAYS

VIDEOS = 10_000_000
PAGE = Path(__file__).parents[1] / "docs" / "CLUSTER.md"
START, END = "<!-- planned by python -m benchmarks.cluster_plan -->\n", "<!-- end of the plan -->"

# Frames of a video, dimensions of an embedding.
_SETS = ((16, 512), (32, 512), (32, 1024))
# Frames a second that a GPU encodes. Assumed: there is no row of a GPU here.
_GPU_FRAMES = (3_000, 10_000)
# Videos a second that a core decodes where they are longer or larger than those measured. Assumed.
_SLOW_CORE = 4.0
# List prices, in dollars, assumed: a million writes or lists, a million reads, 10^9 bytes a month,
# an hour of a GPU, an hour of a core.
_WRITES, _READS, _BYTES, _GPU_HOUR, _CORE_HOUR = 5.0, 0.4, 0.023, 2.5, 0.04
# As a content digest and its length take, and as texts that are mostly empty do.
_TEXT_BYTES = {"content_digest": 68, "reason": 4, "message": 4}

Rows = Sequence[Mapping]


def bytes_a_video(frames: int, dim: int) -> int:
    """What the arrays of a set hold of a video of one view."""
    lengths = {"video": 1, "view": 1, "frame": frames, "dim": dim}
    return sum(
        _TEXT_BYTES.get(name)
        or np.dtype(spec.dtype).itemsize * math.prod(lengths[axis] for axis in spec.axes)
        for name, spec in FEATURE_ARRAYS.items()
    )


def videos_a_core(rows: Rows) -> float:
    """Videos a second that a core decodes at 32 frames, by the newest row of several workers."""
    row = [row for row in rows if row["workers"] and row["decoder"] == "decord"][-1]
    return row["videos_per_second"] / row["workers"]


def requests_of(rows: Rows) -> dict[str, tuple[float, float]]:
    """Requests a block by what is done: those that write or list, and those that read."""
    newest = {row["what"]: row for row in rows}
    return {
        what: (
            sum(row[f"{kind}_a_block"] for kind in ("put", "list")),
            sum(row[f"{kind}_a_block"] for kind in ("get", "head")),
        )
        for what, row in newest.items()
    }


def plan(decode: Rows, requests: Rows) -> str:
    """Two tables: what a set costs by its size, and what is asked of the object store."""
    return "\n".join([*_sets(videos_a_core(decode)), "", *_requests(requests_of(requests)), ""])


def _sets(core: float) -> Iterable[str]:
    yield "| frames, dimensions | bytes | a month in S3 | GPU hours | cores a GPU | GPU and cores |"
    yield "| ---: | ---: | ---: | ---: | ---: | ---: |"
    for frames, dim in _SETS:
        size = VIDEOS * bytes_a_video(frames, dim) / 1e9
        hours = [VIDEOS * frames / rate / 3600 for rate in _GPU_FRAMES]
        # Fewer frames of a video take less, but each is opened all the same.
        cores = [[rate / frames / each for each in (core, _SLOW_CORE)] for rate in _GPU_FRAMES]
        hours_of_cores = [VIDEOS / each / 3600 for each in (core, _SLOW_CORE)]
        dollars = [
            hours[1] * _GPU_HOUR + hours_of_cores[0] * _CORE_HOUR,
            hours[0] * _GPU_HOUR + hours_of_cores[1] * _CORE_HOUR,
        ]
        yield (
            f"| {frames}, {dim} | {size:.0f} GB | ${size * _BYTES:.0f} "
            f"| {hours[1]:.0f} at 10,000 frames/s, {hours[0]:.0f} at 3,000 "
            f"| {cores[1][0]:.0f}-{cores[1][1]:.0f} at 10,000 frames/s, "
            f"{cores[0][0]:.0f}-{cores[0][1]:.0f} at 3,000 "
            f"| ${dollars[0]:.0f}-{dollars[1]:.0f} |"
        )


def _requests(found: Mapping[str, tuple[float, float]]) -> Iterable[str]:
    blocks = f"{VIDEOS // BLOCK_SIZE:,} blocks"
    yield f"| {blocks} | writes and lists a block | reads a block | in all | |"
    yield "| :--- | ---: | ---: | ---: | ---: |"
    # What costs nothing a block is no line of a plan.
    costly = {what: asked for what, asked in found.items() if sum(asked) >= 0.05}
    for what, (writes, reads) in costly.items():
        millions = [each * VIDEOS / BLOCK_SIZE / 1e6 for each in (writes, reads)]
        dollars = millions[0] * _WRITES + millions[1] * _READS
        yield (
            f"| {what} | {writes:.1f} | {reads:.1f} | {sum(millions):.2f} million "
            f"| ${dollars:.2f} |"
        )


def planned(page: str) -> str:
    """A page with the tables between its two marks."""
    before, _, rest = page.partition(START)
    _, mark, after = rest.partition(END)
    assert mark, f"the page lacks {START!r} or {END!r}"
    rows = (read_rows(PAGE.parents[1] / COMMITTED / name) for name in _FILES)
    return before + START + plan(*rows) + END + after


_FILES = ("decode.jsonl", "bucket_requests.jsonl")

if __name__ == "__main__":
    PAGE.write_text(planned(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
