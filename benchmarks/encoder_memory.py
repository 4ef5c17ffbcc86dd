"""Claim: an encoder of a cluster that works on ten million videos takes under 1 GB for the table.

    OMP_NUM_THREADS=1 python -m benchmarks.encoder_memory                  # ten minutes
    OMP_NUM_THREADS=1 python -m benchmarks.encoder_memory --videos 1000000 --known 1000000

Writes a table of so many videos, a hundred of each size, then runs what an encoder of `vifi extract
--on ray` does of it, in a process of its own: load the model, open the set, take `given` blocks,
spread over all of it, and write them. Its videos are not there: each decodes at once to one grey
frame, and has a digest of its own. `known` videos of another dataset are in the store under the
same recipe, none of them equal to one of these, and each has to be known by its digest.
`encoder_mib` is the most memory that the process held, `start_mib` what it held once the model was
loaded.

Floor: one number of eight bytes a video for its file and one for its size, which is how equal files
are found, 160 MB of ten million; sixteen bytes a known video; nothing for its path.
"""

import contextlib
import hashlib
import logging
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pandas as pd

from benchmarks.driver_memory import in_own_process
from benchmarks.generated import block_arrays, unsynced
from vifi.bench.bench_settings import Bench
from vifi.bench.recording import in_scratch, script
from vifi.bench.timing import peak_mebibytes
from vifistore.cluster.encoder_actor import EncoderActor, EncoderStart, EncoderTask
from vifistore.extract import pipeline
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.given_rows import Piece
from vifistore.extract.job import new_writer
from vifistore.extract.prepare import prepare
from vifistore.frames import file_digests
from vifistore.frames.decoders.decoding import DecodedVideo
from vifistore.frames.processes.decode_jobs import DecodeJob
from vifistore.scanning.presence import Presence
from vifistore.sources.footage import Footage
from vifistore.store.committer import BlockCommitter
from vifistore.store.dataset import Dataset, write_videos
from vifistore.store.schema import VIDEO_COLUMNS
from vifistore.store.store import create_store
from vifistore.store.zarr_format.block_ranges import block_rows, num_blocks

CASE = ("videos", "known", "given")
_OF_A_SIZE, _AT_ONCE, _PULSE_SECONDS = 100, 3, 0.01
_WANTED = ExtractSettings(
    model="vifi-tiny", pretrained="none", frames=2, device="cpu", precision="fp32", workers=1
)


@dataclass(frozen=True, kw_only=True)
class EncoderMemory(Bench):
    """How much an encoder works on."""

    videos: int = 10_000_000
    """Videos of the set."""
    known: int = 1000
    """Videos that are in the store already, in another dataset."""
    given: int = 512
    """Blocks that this encoder does."""


@in_scratch
def run(settings: EncoderMemory, scratch: Path) -> Iterator[dict]:
    """One row."""
    store = scratch / "s.zarr"
    in_own_process(make_tables, store, settings)
    found = in_own_process(encode, store, settings)
    yield {"videos": settings.videos, "known": settings.known, "given": settings.given, **found}


def make_tables(store: Path, settings: EncoderMemory) -> None:
    """A store that knows so many videos, and has others in a sealed set."""
    logging.getLogger("vifi").setLevel(logging.ERROR)
    with unsynced():
        made = create_store(store)
        _add_videos(made.new_dataset("d"), settings.videos)
        _add_videos(others := made.new_dataset("others"), settings.known)
        _write_known(others)


def _add_videos(dataset: Dataset, count: int) -> None:
    numbers = np.arange(count)
    names = [f"{dataset.name}{number:08d}.mp4" for number in numbers]
    columns = {
        name: np.ones(count, spec.dtype) for name, spec in VIDEO_COLUMNS.items() if spec.fill != ""
    }
    columns["size_bytes"] = 1_000_000 + numbers // _OF_A_SIZE
    columns |= {"id": names, "path": names, "label": np.full(count, "a", object)}
    write_videos(dataset, pd.DataFrame(columns), ["a"], "/videos")


def _write_known(dataset: Dataset) -> None:
    """A sealed set of the recipe, of digests that no video of the other dataset has."""
    job = prepare(dataset, _WANTED)
    writer = new_writer(job, "extract")
    shape = job.shape
    frames = np.zeros((64, shape.view, shape.frame, shape.dim), np.float16)
    block = block_arrays(frames)
    with BlockCommitter(writer) as committer:
        for number in range(num_blocks(shape.video)):
            rows = list(block_rows(number, shape.video))
            digests = np.array([_digest(f"known {row}") for row in rows], object)
            data = {name: values[: len(rows)] for name, values in block.items()}
            committer.add(number, rows, {**data, "content_digest": digests})
    writer.seal()
    writer.release()


def encode(store: Path, settings: EncoderMemory) -> dict:
    """Do the blocks that are given, and say what that took."""
    logging.getLogger("vifi").setLevel(logging.ERROR)
    actor = EncoderActor(EncoderTask(store=str(store), dataset="d", settings=_WANTED))
    # It would live on once it is done.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert not actor.facts().refusal
    start, began = peak_mebibytes(), time.perf_counter()
    with still_videos(), unsynced():
        actor.begin(EncoderStart(num_videos=settings.videos))
        waiting = list(_pieces(settings))
        ready, left, num_waiting = None, len(waiting), 0
        while left:
            count = _AT_ONCE - num_waiting
            pulse = actor.pulse([waiting.pop() for _ in range(min(count, len(waiting)))])
            assert (pulse.error, pulse.failure) == (None, ""), pulse
            left, num_waiting = left - len(pulse.settled), pulse.num_waiting
            if pulse.settled and ready is None:
                ready = time.perf_counter() - began
            time.sleep(_PULSE_SECONDS)
    return {
        "start_mib": round(start),
        "encoder_mib": round(peak_mebibytes()),
        "first_seconds": round(ready or 0.0, 1),
        "seconds": round(time.perf_counter() - began, 1),
    }


def _pieces(settings: EncoderMemory) -> Iterator[Piece]:
    blocks = num_blocks(settings.videos)
    for block in np.unique(np.linspace(0, blocks - 1, settings.given).astype(int)).tolist():
        yield Piece(block=block, rows=block_rows(block, settings.videos))


@contextlib.contextmanager
def still_videos() -> Iterator[None]:
    """Have videos of one grey frame, each with bytes of its own, wherever a table says they are."""
    pool = contextlib.nullcontext(SimpleNamespace(decode_stretches=_decoded))
    with (
        mock.patch.object(pipeline, "open_pools", return_value=pool),
        mock.patch.object(file_digests, "content_digest", lambda footage: _digest(str(footage))),
        mock.patch.object(Presence, "require"),
    ):
        yield


def _decoded(jobs: Iterable[tuple[list[int], DecodeJob]]) -> Iterator[tuple[int, DecodedVideo]]:
    for rows, job in jobs:
        for row in rows:
            yield row, _still(job.footage)


def _still(footage: Footage) -> DecodedVideo:
    return DecodedVideo(
        **{"frames": np.full((1, 8, 8, 3), 128, np.uint8), "index": np.zeros((1, 2), np.int64)},
        **{"timestamps": np.zeros((1, 2), np.float32), "num_frames": 2, "declared_frames": 2},
        **{"content_digest": _digest(str(footage)), "width": 8, "height": 8, "decoder": "pyav"},
    )


def _digest(told: str) -> str:
    return hashlib.sha256(told.encode()).hexdigest()


if __name__ == "__main__":
    script("encoder_memory", EncoderMemory, run, CASE, __doc__)
