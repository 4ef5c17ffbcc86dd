"""Videos that encoders of a cluster go over again: those quarantined, or those of damaged blocks.

On one machine a process has all blocks of them from start to end. Of a cluster each encoder has to
have its own, so that they count as to do first: whoever works on the set may do them, and no one
seals it before they are done.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vifistore.extract.job import begin_set, require_set
from vifistore.extract.prepare import Job
from vifistore.extract.repair import Repair, earlier_attempts, start_repair
from vifistore.extract.row_sources import ALL, Wanted
from vifistore.store.schema import BLOCK_SIZE, QUARANTINED, TODO
from vifistore.store.writer import FeatureWriter


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A set that is planned, and what is to be done of it."""

    writer: FeatureWriter
    purpose: str
    """extract, retry or repair: kept in the provenance of blocks."""
    status: np.ndarray
    """uint8 [video]: TODO where a video is to be done."""
    wanted: Wanted = ALL
    attempts: np.ndarray | None = None
    """How often each video was tried before, uint8 [video]; None where none was."""
    repairing: Repair | None = None


def begin(job: Job, wanted: Wanted) -> Begun:
    """Plan what is to be done; see `begin_set`."""
    writer = begin_set(job, "extract")
    return Begun(writer=writer, purpose="extract", status=writer.status, wanted=wanted)


def begin_retry(job: Job, wanted: Wanted) -> Begun:
    """Have quarantined videos count as to do. Raises UsageError where there is no such set,
    LockedError if another process writes a block of them."""
    require_set(job)
    writer = begin_set(job, "retry")
    attempts = earlier_attempts(job.dataset, job.recipe.id)
    matching = np.flatnonzero(writer.status == QUARANTINED)
    if wanted.blocks is not None:
        matching = matching[np.isin(matching // BLOCK_SIZE, wanted.blocks)]
    rows = matching[: wanted.limit]
    writer.claim(np.unique(rows // BLOCK_SIZE).tolist())
    # Another process may have written some before they were claimed.
    rows = rows[writer.status[rows] == QUARANTINED]
    if len(rows):
        writer.unseal()
        writer.reopen(rows.tolist())
    writer.release()
    status = np.full(len(writer.status), QUARANTINED, np.uint8)
    status[rows] = TODO
    return Begun(writer=writer, purpose="retry", status=status, attempts=attempts)


def begin_repair(job: Job, wanted: Wanted) -> Begun:
    """Have damaged blocks count as to do; see `start_repair`."""
    require_set(job)
    repairing = start_repair(job.dataset, job.recipe.id)
    repairing.claims.release()
    writer = begin_set(job, "repair")
    told = {"attempts": repairing.attempts, "repairing": repairing}
    return Begun(writer=writer, purpose="repair", status=writer.status, **told)


Beginning = Callable[[Job, Wanted], Begun]
