"""What a row of very many frames takes of memory: where it can be, it is handled in pieces."""

import logging

from vifistore.errors import shell
from vifistore.extract.prepare import Job
from vifistore.frames.processes.pool import LONG_BYTES
from vifistore.models.encoders import CLIP

logger = logging.getLogger("vifi")

# Some two hundred frames of 224 x 224: usual videos are one piece.
_PIECE_BYTES = 2**25
# A frame that is not cut is at most about so many times its square.
_UNCUT = 8


def piece_bytes(job: Job) -> int:
    """Bytes of the pieces in which workers hand frames over; 0 where rows are handed over whole:
    usual ones, those of an encoder that sees whole clips, and what a frame cache keeps."""
    is_whole = job.loaded.kind == CLIP or job.settings.frame_cache is not None
    is_short = _row_bytes(job) * _UNCUT <= _PIECE_BYTES
    return 0 if is_whole or is_short else _PIECE_BYTES


def tell_of_long_rows(job: Job, num_workers: int) -> None:
    """Say how much memory the pixels of the longest rows take, where that is much, and what bounds
    it."""
    num_bytes = _row_bytes(job)
    if num_bytes <= LONG_BYTES or piece_bytes(job):
        return
    # Each worker keeps the frames that it reads; as many videos are on their way to the tower.
    held = 2 * num_workers * num_bytes
    dataset, frames = job.dataset, job.settings.num_frames * job.settings.clips
    scan = shell("vifi", "scan", dataset.store.path, dataset.root(), "--dataset", dataset.name)
    logger.warning(
        "a row of %s may have %s frames, %.1f GB of pixels that are held whole: about %.0f GB in "
        "all with %d workers; --workers 1 takes less, and stretches hardly any: %s-30s --window 30",
        *(dataset.name, f"{frames:,}", num_bytes / 1e9, held / 1e9, num_workers, scan),
    )


def _row_bytes(job: Job) -> int:
    """Of the squares of the longest row."""
    height, width = job.loaded.image_size
    settings = job.settings
    return settings.num_frames * settings.clips * settings.crops * 3 * height * width
