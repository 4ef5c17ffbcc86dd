"""The one pipeline: rows -> decode -> preprocess and encode -> collect blocks -> commit.

`encode_rows` wires the stages, each in a file of its own. They run beside one another: workers
decode ahead, a GPU computes while its next input and its last output are copied, and a thread
writes blocks. What is in flight is bounded, so memory does not grow with the number of videos.
"""

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from vifistore.errors import LockedError, UsageError
from vifistore.extract.blocks import BlockCollector
from vifistore.extract.clock import Clock
from vifistore.extract.cosines_beside import CosinesBeside
from vifistore.extract.decoded_rows import DecodedRows, default_workers, open_pools
from vifistore.extract.encoded_rows import EncodedRows
from vifistore.extract.long_rows import piece_bytes, tell_of_long_rows
from vifistore.extract.planned_videos import PlannedVideos
from vifistore.extract.prepare import Job
from vifistore.extract.reuse import Reuse
from vifistore.extract.row_sources import FreeRows, HeldRows, NotedWriter, RowSource, Wanted
from vifistore.extract.run_figures import (
    device_name,
    figures,
    keep,
    machine_provenance,
    run_facts,
)
from vifistore.extract.trainer_frames import TrainerFrames
from vifistore.progress import Progress
from vifistore.store.committer import BlockCommitter
from vifistore.store.schema import BLOCK_SIZE, QUARANTINED, TODO
from vifistore.store.writer import FeatureWriter

logger = logging.getLogger("vifi")

# How long another process that has a block is waited for before one more try to seal, seconds.
_SEAL_WAITS = (0.2, 1.0, 3.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class ExtractReport:
    """What an extraction did."""

    id: str
    encoded: int
    """Videos encoded by this run."""
    reused: int
    """Videos whose embeddings this run copied, since the same file was encoded already."""
    quarantined: int
    """Videos quarantined by this run."""
    sealed: bool
    """Whether the set is complete."""
    figures: dict = field(default_factory=dict)
    """What it took; see vifistore.extract.run_figures. Empty if there was nothing to do."""

    def gone_on_with(self, later: "ExtractReport") -> "ExtractReport":
        """Of this and of what was done after it; the figures are those of the longer part."""
        return replace(
            later,
            encoded=self.encoded + later.encoded,
            reused=self.reused + later.reused,
            quarantined=self.quarantined + later.quarantined,
            figures=max(self.figures, later.figures, key=lambda told: told.get("seconds", 0)),
        )


def run_rows(
    job: Job,
    writer: FeatureWriter,
    source: RowSource,
    attempts: np.ndarray,
    *,
    beside: Callable[[], None],
    trainer: TrainerFrames | None = None,
    cosines: CosinesBeside | None = None,
) -> ExtractReport:
    """Encode the rows of a source; seal the set once nothing is left to do.

    Parameters
    ----------
    source
        Where rows come from; nothing is opened for one that plans none.
    attempts
        How often each video was tried before, uint8 [video].
    beside
        Done while the first videos are decoded.
    trainer
        What a trainer keeps in the same frame cache.
    cosines
        Where texts follow the video, what makes cosines with them; it has begun after `beside`.

    Raises
    ------
    StoreError
        If the disk is full or read-only. Blocks that were finished are kept.
    UsageError
        If the memory of the GPU is too small. Blocks that were finished are kept.
    IncompleteError
        If one of the rows has got no result.
    """
    clock, counts = Clock(), Counter()
    stages = None
    with _clear_memory_errors(job.device):
        if source.planned:
            args = (job, writer, source, attempts, counts, clock, beside, trainer)
            stages = encode_rows(*args, cosines)
        else:
            beside()
    with clock.stage("write"):
        is_complete = seal_if_complete(writer, source.taken)
    return ExtractReport(
        id=writer.id,
        encoded=counts["encoded"],
        reused=counts["copied"],
        quarantined=counts["quarantined"],
        sealed=is_complete,
        figures=_kept_figures(job, counts, clock, *stages) if stages else {},
    )


def encode_rows(
    job: Job,
    writer: FeatureWriter,
    source: RowSource,
    attempts: np.ndarray,
    counts: Counter[str],
    clock: Clock,
    beside: Callable[[], None],
    trainer: TrainerFrames | None,
    cosines: CosinesBeside | None,
) -> tuple[DecodedRows, EncodedRows]:
    """Take rows through the stages, count their results by kind, and return when all are written.

    `attempts` is uint8 [video]. Raises as `run_rows` does, but for IncompleteError.
    """
    further = job.further
    tell_of_long_rows(job, job.settings.workers or default_workers(job.device))
    # Of a copy the cosines with these classes would be missing.
    videos = PlannedVideos(job.dataset, source.planned)
    reuse = Reuse(job.dataset, writer, videos, further, may_copy=cosines is None)
    with (
        Progress(total=source.total, unit="video", desc="extract") as bar,
        contextlib.ExitStack() as opened,
    ):
        committer = opened.enter_context(BlockCommitter(NotedWriter(cosines or writer, source)))
        pools = open_pools(job.settings, job.recipe.preprocessing, job.device, trainer)
        pool = opened.enter_context(pools)
        how = {"videos": videos, "reuse": reuse, "clock": clock, "piece_bytes": piece_bytes(job)}
        decode = DecodedRows(job.dataset, source, pool, **how)
        beside()
        encode = EncodedRows(job, clock, cosines)
        made = {**further, **(cosines.arrays if cosines else {})}
        collect = BlockCollector(source.pending, job.shape, attempts, made)
        clock.restart()
        bar.unpause()
        for result in encode.results(decode):
            for video in reuse.with_twins(result):
                counts[video.kind] += 1
                bar.total = source.total
                _show(bar, encode.encoder.num_frames / clock.seconds, counts)
                if block := collect.add(video):
                    with clock.stage("write"):
                        committer.add(block.block, block.rows, block.data, block.readers)
        with clock.stage("write"):
            opened.close()
    decode.changes.say()
    return decode, encode


def _show(bar: Progress, frames_per_second: float, counts: Counter[str]) -> None:
    text = f"{frames_per_second:.1f} frames/s, {counts['quarantined']} quarantined"
    bar.set_postfix_str(text, refresh=False)
    bar.update()


@contextlib.contextmanager
def rows_to_encode(
    writer: FeatureWriter, wanted: Wanted, *, retry: bool, at_once: bool
) -> Iterator[RowSource]:
    """The rows of a run: those to do, or those quarantined (`retry`), of which it may have.

    Blocks are claimed as their turn comes; all `at_once` for what no other process may do
    meanwhile, and for `retry`, which unseals a sealed set. Raises LockedError then if another
    process is writing one of them.
    """
    if not retry and not at_once:
        with FreeRows(writer, wanted) as source:
            yield source if not source.is_empty else HeldRows(())
        return
    status = QUARANTINED if retry else TODO
    matching = np.flatnonzero(writer.status == status).tolist()
    blocks, limit = wanted.blocks, wanted.limit
    rows = [row for row in matching if blocks is None or row // BLOCK_SIZE in blocks][:limit]
    writer.claim(row // BLOCK_SIZE for row in rows)
    # Another process may have written some before they were claimed.
    rows = [row for row in rows if writer.status[row] == status]
    if rows and retry:
        writer.unseal()
    yield HeldRows(rows)


def seal_if_complete(writer: FeatureWriter, rows: list[int]) -> bool:
    """Seal the set if nothing is left to do, by whatever process; return whether it is sealed.

    It is not where another process keeps a block, and so will seal it. Raises IncompleteError if
    one of this run's rows is still to do.
    """
    writer.refresh()
    writer.require_settled(rows)
    if writer.todo_blocks():
        return False
    return not writer.needs_seal or _seal(writer)


def _seal(writer: FeatureWriter) -> bool:
    for wait in _SEAL_WAITS:
        # Who looks whether anything is to do in a block has it for a moment.
        with contextlib.suppress(LockedError):
            writer.seal()
            return True
        time.sleep(wait)
    logger.info(
        "%s is not sealed: another process has blocks of it, and does so as it ends", writer.id
    )
    return False


@contextlib.contextmanager
def _clear_memory_errors(device: torch.device) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UsageError(told_of_memory(device)) from error


def told_of_memory(device: torch.device) -> str:
    """What to say of a GPU whose memory is full."""
    return (
        f"the memory of {device_name(device)} is too small for batches of this size; "
        "give a smaller --batch, 32 for instance, and what is done is kept"
    )


def _kept_figures(
    job: Job, counts: Counter[str], clock: Clock, decode: DecodedRows, encode: EncodedRows
) -> dict:
    """The row of a run, kept beside the store."""
    machine = machine_provenance(job.device)
    row = {
        "dataset": job.dataset.name,
        "id": job.recipe.id,
        **run_facts(job.settings, job.recipe.precision, job.device),
        "batch": encode.encoder.batch,
        "workers": job.settings.workers or default_workers(job.device),
        "host": machine["host"],
        "versions": machine["versions"],
        **figures(counts, encode.encoder.num_frames, clock),
        "readers": dict(sorted(decode.readers.items())),
        "worker_decode_seconds": round(decode.decode_seconds, 3),
        "worker_resize_seconds": round(decode.cut_seconds, 3),
    }
    keep(row, job.dataset.store.cache_folder)
    return row
