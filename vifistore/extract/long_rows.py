"""What a row of very many frames takes of memory: it is read whole, and encoded in pieces."""

import logging

from vifistore.errors import shell
from vifistore.extract.prepare import Job
from vifistore.frames.pool import LONG_BYTES

logger = logging.getLogger("vifi")


def tell_of_long_rows(job: Job, num_workers: int) -> None:
    """Say how much memory the pixels of the longest rows take, where that is much, and what bounds
    it."""
    settings = job.settings
    height, width = job.loaded.image_size
    frames = settings.num_frames * settings.clips
    num_bytes = frames * settings.crops * 3 * height * width
    if num_bytes <= LONG_BYTES:
        return
    # Each worker keeps the frames that it reads; as many videos are on their way to the tower.
    held = 2 * num_workers * num_bytes
    dataset = job.dataset
    scan = shell("vifi", "scan", dataset.store.path, dataset.root(), "--dataset", dataset.name)
    logger.warning(
        "a row of %s may have %s frames, %.1f GB of pixels that are held whole: about %.0f GB in "
        "all with %d workers; --workers 1 takes less, and stretches hardly any: %s-30s --window 30",
        *(dataset.name, f"{frames:,}", num_bytes / 1e9, held / 1e9, num_workers, scan),
    )
