"""Write a feature set block by block, and seal it.

A block is 64 consecutive videos and one chunk of each array. Its data is on the disk before its
status says so; a block is rewritten whole, by rename, with the rows that were done left equal.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import zarr

from vifistore.errors import DamagedError, IncompleteError, StoreError
from vifistore.store.backend import Backend
from vifistore.store.chunks import checksums, manifest_digest
from vifistore.store.disk import clear_disk_errors
from vifistore.store.features import read_status_leniently
from vifistore.store.locks import BlockLocks
from vifistore.store.recipe import recipe_id
from vifistore.store.schema import BLOCK_SIZE, FEATURE_ARRAYS, TODO, check_name


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Lengths of the axes of a feature set."""

    video: int
    view: int
    frame: int
    dim: int


@dataclass(kw_only=True)
class Run:
    """One writer's part: where and with what it ran, and the blocks it wrote."""

    provenance: dict
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    blocks: list[int] = field(default_factory=list)

    def spans(self) -> list[list[int]]:
        """Blocks written, as [first, last + 1] pairs."""
        spans: list[list[int]] = []
        for block in sorted(set(self.blocks)):
            if spans and spans[-1][1] == block:
                spans[-1][1] = block + 1
            else:
                spans.append([block, block + 1])
        return spans


class FeatureWriter:
    """Plans a feature set, writes its blocks and seals it.

    A block is locked before it is written, until `release` or the end of the process. Raises
    LockedError where another process holds it, DamagedError for a sealed set that lost part of its
    status, StoreError for a disk that is full or read-only.
    """

    def __init__(
        self,
        backend: Backend,
        dataset: str,
        recipe: Mapping,
        shape: Shape,
        provenance: dict,
        *,
        arrays: Iterable[str] = tuple(FEATURE_ARRAYS),
    ) -> None:
        """`arrays` names those of FEATURE_ARRAYS that the set has: some come without frames."""
        self._backend = backend
        self.id = recipe_id(recipe)
        self.path = f"features/{check_name('dataset', dataset)}/{self.id}"
        self._shape = shape
        self._run = Run(provenance=provenance)
        self._locks = BlockLocks(backend.cache_folder, dataset, self.id)
        with self._locks.turn(), clear_disk_errors(backend.folder):
            self._arrays = self._plan(recipe, arrays)
        self.status = self._read_status()

    def _plan(self, recipe: Mapping, names: Iterable[str]) -> dict[str, zarr.Array]:
        lengths = vars(self._shape)
        if not self._backend.exists(self.path):
            self._backend.make_group(self.path, {"recipe": dict(recipe), "sealed": None})
        self._require_no_more_rows()
        arrays = {}
        for name in names:
            spec = FEATURE_ARRAYS[name]
            shape = tuple(lengths[axis] for axis in spec.axes)
            arrays[name] = self._backend.make_array(
                f"{self.path}/{name}", spec, shape=shape, chunks=(BLOCK_SIZE, *shape[1:])
            )
        self._backend.sync(f"{self.path}/{name}/zarr.json" for name in arrays)
        return arrays

    def _require_no_more_rows(self) -> None:
        """Raise StoreError if the set is longer than planned: cutting it would lose videos."""
        path = f"{self.path}/status"
        if not self._backend.exists(path):
            return
        num_rows = self._backend.open_array(path).shape[0]
        if num_rows > self._shape.video:
            raise StoreError(
                f"feature set {self.id} covers {num_rows} videos, the dataset {self._shape.video}; "
                "another process has just added some: run the same command again"
            )

    def _read_status(self) -> np.ndarray:
        status = read_status_leniently(self._backend, self.path, self._shape.video)
        sealed = self.sealed
        if sealed and (status[: sealed["rows"]] == TODO).any():
            raise DamagedError(
                f"feature set {self.id} is sealed but lost part of its status; find out more with "
                f"vifi verify {self._backend.folder}, then run vifi extract again with --repair"
            )
        return status

    def claim(self, blocks: Iterable[int]) -> None:
        """Lock blocks, and learn what others have written in them since the set was opened.

        Raises LockedError, with nothing more locked, if another process holds one of them.
        """
        if self._locks.acquire(blocks):
            self.refresh()

    def refresh(self) -> None:
        """Learn what other processes have written since."""
        self.status = self._read_status()

    def release(self) -> None:
        """Let other processes write the blocks that were claimed or written."""
        self._locks.release()

    @property
    def sealed(self) -> dict | None:
        """`{"rows", "manifest"}` of the last sealing, or None."""
        return self._backend.attributes(self.path)["sealed"]

    def block_rows(self, block: int) -> range:
        """Rows of the videos of a block."""
        start = block * BLOCK_SIZE
        return range(start, min(start + BLOCK_SIZE, self._shape.video))

    def todo_rows(self, block: int) -> list[int]:
        """Rows of a block that are neither done nor quarantined."""
        return [row for row in self.block_rows(block) if self.status[row] == TODO]

    def todo_blocks(self) -> list[int]:
        """Blocks with anything to do, in order."""
        return sorted({int(row) // BLOCK_SIZE for row in np.flatnonzero(self.status == TODO)})

    def write_block(self, block: int, rows: list[int], data: Mapping[str, np.ndarray]) -> None:
        """Write `data`, whose arrays have one entry per row of `rows`; other rows stay as they are.

        Every array but `status` reaches the disk before `status` is written.
        """
        self.claim([block])
        with clear_disk_errors(self._backend.folder):
            self._write_block(block, rows, data)
        self.status[rows] = data["status"]

    def _write_block(self, block: int, rows: list[int], data: Mapping[str, np.ndarray]) -> None:
        start = self.block_rows(block).start
        names = [name for name in self._arrays if name != "status"]
        self._backend.write_rows(
            start, {f"{self.path}/{name}": self._chunk(name, block, rows, data) for name in names}
        )
        self._run.blocks.append(block)
        self._write_run()
        status = self._chunk("status", block, rows, data)
        self._backend.write_rows(start, {f"{self.path}/status": status})

    def _chunk(
        self, name: str, block: int, rows: list[int], data: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """A block of the array `name`: `data` in `rows`, what is settled elsewhere as it is."""
        span = self.block_rows(block)
        array = self._arrays[name]
        kept = [row for row in span if row not in set(rows) and self.status[row] != TODO]
        dtype = object if FEATURE_ARRAYS[name].dtype == "str" else array.dtype
        chunk = np.full((len(span), *array.shape[1:]), FEATURE_ARRAYS[name].fill, dtype)
        if kept:
            old = self._backend.read(f"{self.path}/{name}", span.start, span.stop)
            chunk[[row - span.start for row in kept]] = old[[row - span.start for row in kept]]
        chunk[[row - span.start for row in rows]] = data[name]
        return chunk

    def _write_run(self) -> None:
        attributes = {**self._run.provenance, "blocks": self._run.spans()}
        self._backend.make_group(f"{self.path}/runs/{self._run.id}", attributes)

    @property
    def needs_seal(self) -> bool:
        """Whether some planned row lies outside what was sealed last."""
        sealed = self.sealed
        return sealed is None or sealed["rows"] != self._shape.video

    def unseal(self) -> None:
        """Say that the set is changing; `seal` ends that."""
        with self._locks.turn(), clear_disk_errors(self._backend.folder):
            attributes = self._backend.attributes(self.path)
            self._backend.make_group(self.path, {**attributes, "sealed": None})

    def seal(self) -> dict:
        """Mark the set complete and return `{"rows", "manifest"}`.

        Raises IncompleteError if a planned video is neither done nor quarantined.
        """
        with self._locks.turn(), clear_disk_errors(self._backend.folder):
            return self._seal()

    def _seal(self) -> dict:
        # Read again: other processes may have written the other blocks.
        self.status = read_status_leniently(self._backend, self.path, self._shape.video)
        if todo := int((self.status == TODO).sum()):
            raise IncompleteError(
                f"feature set {self.id} cannot be sealed: {todo} of {len(self.status)} videos are "
                "to do; run vifi extract again"
            )
        num_rows = len(self.status)
        stored = checksums(self._backend, self.path, num_rows)
        sealed = {"rows": num_rows, "manifest": manifest_digest(stored)}
        runs = self._backend.children(f"{self.path}/runs")
        provenance = [self._backend.attributes(f"{self.path}/runs/{run}") for run in runs]
        attributes = self._backend.attributes(self.path)
        self._backend.make_group(
            self.path, {**attributes, "sealed": sealed, "provenance": provenance}
        )
        return sealed
