"""Damaged blocks of a feature set: found, marked as to do, and compared once they are redone."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vifistore.errors import DamagedError, UsageError
from vifistore.store.backend import Backend
from vifistore.store.chunks import checksums, manifest_digest
from vifistore.store.features import read_status_leniently
from vifistore.store.schema import BLOCK_SIZE, FEATURE_ARRAYS, TODO
from vifistore.store.store import Store
from vifistore.store.verify_features import damaged_blocks

logger = logging.getLogger("vifi")

_CHECKSUM_BYTES = 4

Stored = dict[tuple[str, int], bytes]


@dataclass(frozen=True, kw_only=True)
class Repair:
    """What was there before the damaged blocks are encoded again."""

    backend: Backend
    path: str
    sealed: dict | None
    stored: Stored
    """Checksum of every chunk of the blocks that are well, by array and block."""
    attempts: np.ndarray
    """uint8 [video]: how often each was tried before the block was written."""

    def finish(self) -> None:
        """Prove that all that was well stayed as it was, and say whether the rest is equal too.

        Raises DamagedError if a chunk that was well has other bytes now.
        """
        now = _stored(self.backend, self.path, {block for _, block in self.stored})
        if changed := sorted(key for key in self.stored if now.get(key) != self.stored[key]):
            name, block = changed[0]
            raise DamagedError(
                f"block {block} of {self.path}/{name} was well and changed during the repair; "
                f"run: vifi verify {self.backend.folder}"
            )
        if not self.sealed:
            return
        manifest = manifest_digest(checksums(self.backend, self.path, self.sealed["rows"]))
        if manifest == self.sealed["manifest"]:
            logger.info("every byte of %s is again as it was sealed", self.path)
        else:
            logger.warning(
                "the blocks of %s that were encoded again differ in some bytes from those that "
                "were sealed, as another machine may round otherwise; all others are equal",
                self.path,
            )


def start_repair(store: Store, dataset: str, feature_id: str) -> Repair:
    """Find the damaged blocks of a feature set and mark them as to do.

    Raises UsageError if nothing is damaged.
    """
    backend = store.backend
    path = f"features/{dataset}/{feature_id}"
    blocks, problems = damaged_blocks(backend, dataset, feature_id)
    if not problems:
        raise UsageError(
            f"nothing of feature set {feature_id} of {dataset} is damaged; --repair is not needed, "
            "run vifi extract without it"
        )
    attributes = backend.attributes(path)
    sealed = attributes["sealed"]
    planned = len(store.videos(dataset))
    num_videos = sealed["rows"] if sealed else planned
    metadata = [p for p in problems if p.where.endswith("/zarr.json")]
    if not blocks and not metadata:
        # Every chunk is sound in itself, but some are not those that were sealed.
        blocks = list(range(-(-num_videos // BLOCK_SIZE)))
    for problem in problems:
        logger.info("%s: %s", problem.where, " ".join(problem.what.split()))
    logger.info("encoding %d blocks again: %s", len(blocks), ", ".join(map(str, blocks)))
    attempts = _attempts(backend, path, planned)
    # Videos added since fill up the last block, which is rewritten for them.
    num_lasting = (
        -(-num_videos // BLOCK_SIZE) if planned == num_videos else num_videos // BLOCK_SIZE
    )
    # A repair that was stopped has left blocks to do.
    status = read_status_leniently(backend, path, 0, num_videos)
    unfinished = {int(row) // BLOCK_SIZE for row in np.flatnonzero(status == TODO)}
    well = set(range(num_lasting)) - set(blocks) - unfinished
    stored = _stored(backend, path, well)
    for name in FEATURE_ARRAYS:
        if any(problem.where == f"{path}/{name}/zarr.json" for problem in metadata):
            _drop_metadata(backend, f"{path}/{name}")
    _mark_as_to_do(backend, path, blocks, num_videos)
    backend.make_group(path, {**attributes, "sealed": None})
    return Repair(
        backend=backend,
        path=path,
        sealed=sealed,
        stored=stored,
        attempts=np.maximum(attempts, 1) - 1,
    )


def earlier_attempts(store: Store, dataset: str, feature_id: str) -> np.ndarray:
    """How often each video of the dataset was tried, uint8 [video]."""
    path = f"features/{dataset}/{feature_id}"
    return _attempts(store.backend, path, len(store.videos(dataset)))


def _attempts(backend: Backend, path: str, num_videos: int) -> np.ndarray:
    """uint8 [video]; 0 where that cannot be read."""
    attempts = np.zeros(num_videos, np.uint8)
    for start in range(0, num_videos, BLOCK_SIZE):
        try:
            found = backend.read(f"{path}/attempts", start, min(start + BLOCK_SIZE, num_videos))
        except DamagedError:
            continue
        attempts[start : start + len(found)] = found
    return attempts


def _mark_as_to_do(backend: Backend, path: str, blocks: list[int], num_videos: int) -> None:
    status = f"{path}/status"
    if not backend.exists(status):
        spec = FEATURE_ARRAYS["status"]
        backend.make_array(status, spec, shape=(num_videos,), chunks=(BLOCK_SIZE,))
    for block in blocks:
        stop = min((block + 1) * BLOCK_SIZE, num_videos)
        rows = np.full(stop - block * BLOCK_SIZE, TODO, np.uint8)
        backend.write_rows(block * BLOCK_SIZE, {status: rows})


def _drop_metadata(backend: Backend, path: str) -> None:
    """Remove a damaged zarr.json, so that it is written again; chunks stay."""
    if not isinstance(backend.folder, Path):
        raise UsageError(
            f"{backend.folder}/{path}/zarr.json is damaged; remove it with the object store's own "
            "tools, then run the same command again"
        )
    (backend.folder / path / "zarr.json").unlink(missing_ok=True)


def _stored(backend: Backend, path: str, blocks: set[int]) -> Stored:
    """Checksum of each chunk of `blocks`, of arrays that can be opened."""
    found = {}
    for name in FEATURE_ARRAYS:
        try:
            layout = backend.layout(f"{path}/{name}")
            keys = {block: layout.key(f"{path}/{name}", block) for block in sorted(blocks)}
            found |= {
                (name, block): backend.tail(key, _CHECKSUM_BYTES) for block, key in keys.items()
            }
        except DamagedError:
            continue
    return found
