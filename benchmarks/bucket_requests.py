"""Claim: what a block of 64 videos costs in requests of an object store, and what a set costs once.

    OMP_NUM_THREADS=1 python -m benchmarks.bucket_requests     # a minute

A server on this machine speaks S3 and counts. Two sets, of few blocks and of more, are written by
one process, sealed, verified and read; the difference is what a block costs, the rest is paid once
a command. Requests that were made again are counted again.

Floor of writing: a PUT for each chunk, for there is no cheaper way to put one there. What comes on
top is the claim that keeps other machines away, and the record of the run, which is written once a
group of blocks. Of a set that is not sealed, chunks of status that are equal are read once, as all
are here. Floor of verifying and reading: a GET for each chunk. Floor of sealing: none, as
claims hold the checksums; a page of a list names a thousand of them.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks.bucket_server import BUCKET, BucketServer
from benchmarks.generated import add_videos, random_block, repeated, write_set
from vifi.bench.bench_settings import Bench
from vifi.bench.recording import in_scratch, script
from vifistore.store.info import describe_store
from vifistore.store.schema import BLOCK_SIZE
from vifistore.store.store import Store, create_store, open_store
from vifistore.store.verifying.verify import verify_store
from vifistore.store.writer import Shape

CASE = ("what",)
KINDS = ("GET", "HEAD", "LIST", "PUT", "DELETE")
# As large as a test likes it: requests do not depend on it.
_FRAMES, _DIM = 2, 8


@dataclass(frozen=True, kw_only=True)
class Requests(Bench):
    """Size of the benchmark."""

    blocks: tuple[int, int] = (4, 36)
    """Blocks of the smaller and of the larger set."""


@in_scratch
def run(settings: Requests, scratch: Path) -> Iterator[dict]:
    """A row for each thing that is done with a set."""
    with (
        mock.patch.dict("os.environ", XDG_CACHE_HOME=str(scratch)),
        BucketServer().serving() as server,
    ):
        few, many = (asked(server, blocks) for blocks in settings.blocks)
    more = settings.blocks[1] - settings.blocks[0]
    for what in few:
        a_block = {kind: (many[what][kind] - few[what][kind]) / more for kind in KINDS}
        once = {kind: few[what][kind] - settings.blocks[0] * a_block[kind] for kind in KINDS}
        yield {
            "what": what,
            **{f"{kind.lower()}_a_block": round(a_block[kind], 3) for kind in KINDS},
            "requests_a_block": round(sum(a_block.values()), 3),
            "requests_once": round(sum(once.values()), 1),
        }


def asked(server: BucketServer, blocks: int) -> dict[str, Counter[str]]:
    """Requests of everything that is done with a set of so many blocks."""
    num_videos, url = blocks * BLOCK_SIZE, f"s3://{BUCKET}/{blocks}.zarr"
    add_videos(create_store(url).new_dataset("d"), ["a"] * num_videos, ["a"])
    shape = Shape(video=num_videos, view=1, frame=_FRAMES, dim=_DIM)
    block = random_block(BLOCK_SIZE, _FRAMES, _DIM)
    counts: dict[str, Counter[str]] = {}

    def count(what: str, call: Callable[[Store], object]) -> None:
        store = open_store(url, mode="a")
        server.requests.clear()
        call(store)
        counts[what] = Counter(server.requests)

    count("write", lambda store: write_set(store.dataset("d"), shape, repeated(block)).release())
    count("info, not sealed", describe_store)
    count("seal", lambda store: write_set(store.dataset("d"), shape, repeated(block)).seal())
    (feature_id,) = open_store(url).dataset("d").feature_ids()
    count("verify", lambda store: _verified(store))
    count("info", describe_store)
    count("open", lambda store: store.features("d", feature_id).require_sealed())
    for name, arrays in {"read view_mean": ("view_mean",), "read frames": ("frames",)}.items():
        count(name, lambda store, a=arrays: list(store.features("d", feature_id).blocks(a)))
    rows = np.array([0, num_videos - 1])
    count("select 2 videos", lambda store: store.features("d", feature_id).select(rows=rows))
    return counts


def _verified(store: Store) -> None:
    problems = list(verify_store(store))
    assert not problems, problems[0]


if __name__ == "__main__":
    script("bucket_requests", Requests, run, CASE, __doc__)
