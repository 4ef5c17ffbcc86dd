"""Damaged blocks of a feature set: found, marked as to do, and compared once they are redone."""

import contextlib
import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from vifistore.errors import DamagedError, UsageError
from vifistore.store.claims.claiming import Claiming, open_claims
from vifistore.store.dataset import Dataset
from vifistore.store.feature_record import FeatureRecord
from vifistore.store.key_value.durable import parallel
from vifistore.store.schema import BLOCK_SIZE, FEATURE_ARRAYS, TODO, ArraySpec
from vifistore.store.verifying.verify_features import damaged_blocks
from vifistore.store.zarr_format.backend import Backend
from vifistore.store.zarr_format.block_files import status_encoder
from vifistore.store.zarr_format.block_ranges import num_blocks, stretches
from vifistore.store.zarr_format.chunks import checksums, manifest_digest

logger = logging.getLogger("vifi")

_CHECKSUM_BYTES = 4

# Attribute that keeps the seal of a set while it is repaired, also beyond a kill.
_SEAL_BEFORE = "seal_before_repair"

Stored = dict[tuple[str, int], bytes]


@dataclass(frozen=True, kw_only=True)
class Repair:
    """What was there before the damaged blocks are encoded again."""

    backend: Backend
    path: str
    stored: Stored
    """Checksum of every chunk of the blocks that are well, by array and block."""
    attempts: np.ndarray
    """uint8 [video]: how often each was tried before the block was written."""
    claims: Claiming
    """On all blocks of the set, to be released by the caller at the end."""

    def finish(self) -> None:
        """Prove that all that was well stayed as it was; see also `compare_with_seal`.

        Raises DamagedError if a chunk that was well has other bytes now.
        """
        now = _stored(self.backend, self.path, {block for _, block in self.stored})
        if changed := sorted(key for key in self.stored if now.get(key) != self.stored[key]):
            name, block = changed[0]
            raise DamagedError(
                f"block {block} of {self.path}/{name} was well and changed during the repair; "
                f"run: {self.backend.verify_command}"
            )
        compare_with_seal(self.path, self.claims)


def compare_with_seal(path: str, claims: Claiming) -> None:
    """Say whether a set that was repaired is as it was sealed before; nothing for all others.

    The repair may have been stopped, and finished by another run: the set keeps its seal until it
    is sealed again.
    """
    with claims.turn() as backend:
        attributes = backend.attributes(path)
        before = attributes.pop(_SEAL_BEFORE, None)
        if not before or not attributes["sealed"]:
            return
        manifest = manifest_digest(checksums(backend, path, before["rows"]))
        backend.make_group(path, attributes)
    if manifest == before["manifest"]:
        logger.info("every byte of %s is again as it was sealed", path)
    else:
        logger.warning(
            "%s differs in some bytes from what was sealed before its repair, as another machine "
            "may round otherwise",
            path,
        )


def start_repair(dataset: Dataset, feature_id: str) -> Repair:
    """Lock a feature set, find its damaged blocks and mark them as to do.

    Raises UsageError if nothing is damaged, LockedError if another process writes in the set; then
    nothing is changed, and nothing locked.
    """
    claims = open_claims(dataset.backend, dataset.name, feature_id)
    # Which blocks are damaged is known only once nobody changes any.
    claims.acquire(range(num_blocks(dataset.num_videos)))
    try:
        return _start(dataset, feature_id, claims)
    except BaseException:
        claims.release()
        raise


def _start(dataset: Dataset, feature_id: str, claims: Claiming) -> Repair:
    backend = dataset.backend
    path = dataset.feature_path(feature_id)
    blocks, problems = damaged_blocks(dataset, feature_id)
    if not problems:
        raise UsageError(
            f"nothing of feature set {feature_id} of {dataset.name} is damaged; --repair is not "
            "needed, run vifi extract without it"
        )
    _require_own(backend, path)
    attributes = backend.attributes(path)
    sealed = attributes["sealed"]
    planned = dataset.num_videos
    num_videos = sealed["rows"] if sealed else planned
    metadata = {p.where for p in problems if p.where.endswith("/zarr.json")}
    broken = [name for name in _specs(backend, path) if f"{path}/{name}/zarr.json" in metadata]
    blocks = sorted(_lost_blocks(backend, path, broken, num_videos).union(blocks))
    if not blocks and not metadata:
        # Every chunk is sound in itself, but some are not those that were sealed.
        blocks = list(range(num_blocks(num_videos)))
    for problem in problems:
        logger.info("%s: %s", problem.where, " ".join(problem.what.split()))
    logger.info("encoding %d blocks again: %s", len(blocks), ", ".join(map(str, blocks)))
    attempts = _attempts(backend, path, planned)
    # Videos added since fill up the last block, which is rewritten for them.
    num_lasting = num_blocks(num_videos) if planned == num_videos else num_videos // BLOCK_SIZE
    # A repair that was stopped has left blocks to do.
    status = claims.read_status(0, num_videos)
    unfinished = {int(row) // BLOCK_SIZE for row in np.flatnonzero(status == TODO)}
    well = set(range(num_lasting)) - set(blocks) - unfinished
    stored = _stored(backend, path, well)
    for name in broken:
        _drop_metadata(backend, f"{path}/{name}")
    with claims.turn() as own:
        _mark_as_to_do(own, path, blocks, num_videos, claims)
        kept = {_SEAL_BEFORE: sealed} if sealed else {}
        own.make_group(path, {**attributes, "sealed": None, **kept})
    return Repair(
        backend=backend,
        path=path,
        stored=stored,
        attempts=np.maximum(attempts, 1) - 1,
        claims=claims,
    )


def _specs(backend: Backend, path: str) -> dict[str, ArraySpec]:
    """The arrays of a set that is encoded here, by name."""
    return {**FEATURE_ARRAYS, **FeatureRecord(backend, path).declared}


def _require_own(backend: Backend, path: str) -> None:
    """Raise StoreError if another program laid out an array that can be opened."""
    for name in _specs(backend, path):
        with contextlib.suppress(DamagedError):
            backend.own_layout(f"{path}/{name}")


def _lost_blocks(backend: Backend, path: str, broken: list[str], num_videos: int) -> set[int]:
    """Blocks of which an array that cannot be opened has no chunk either."""
    lost, specs = set(), _specs(backend, path)
    for name in broken:
        rest = ".0" * (len(specs[name].axes) - 1)
        for block in range(num_blocks(num_videos)):
            if not backend.place.exists(f"{path}/{name}/c.{block}{rest}"):
                lost.add(block)
    return lost


def earlier_attempts(dataset: Dataset, feature_id: str) -> np.ndarray:
    """How often each video of the dataset was tried, uint8 [video]."""
    path = dataset.feature_path(feature_id)
    return _attempts(dataset.backend, path, dataset.num_videos)


def _attempts(backend: Backend, path: str, num_videos: int) -> np.ndarray:
    """uint8 [video]; 0 where that cannot be read."""
    attempts = np.zeros(num_videos, np.uint8)
    with contextlib.suppress(DamagedError):
        # All at once: one after the other, those of millions would take hours in a bucket.
        found = backend.read(f"{path}/attempts", 0, num_videos)
        attempts[: len(found)] = found
        return attempts
    for start, stop in stretches(0, num_videos):
        with contextlib.suppress(DamagedError):
            found = backend.read(f"{path}/attempts", start, stop)
            attempts[start : start + len(found)] = found
    return attempts


def _mark_as_to_do(
    backend: Backend, path: str, blocks: list[int], num_videos: int, claims: Claiming
) -> None:
    status = f"{path}/status"
    if not backend.exists(status):
        spec = FEATURE_ARRAYS["status"]
        backend.make_arrays({status: (spec, (num_videos,), (BLOCK_SIZE,))})
    layout = backend.own_layout(status)
    nothing = status_encoder(layout)(b"")
    claims.forget({block: (layout.key(status, block), nothing) for block in blocks})


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
    for name in _specs(backend, path):
        try:
            layout, threads = backend.layout(f"{path}/{name}"), backend.place.threads(0)
            keys = {(name, block): layout.key(f"{path}/{name}", block) for block in sorted(blocks)}
            read = partial(backend.tail, num_bytes=_CHECKSUM_BYTES)
            found |= zip(keys, parallel(read, keys.values(), threads), strict=True)
        except DamagedError:
            continue
    return found
