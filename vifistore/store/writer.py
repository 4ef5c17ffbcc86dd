"""Write a feature set block by block, and seal it.

A block is 64 consecutive videos and one chunk of each array. Its data is on the disk before its
status says so; a block is rewritten whole, by rename, with the rows that were done left equal.
"""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import zarr

from vifistore.errors import IncompleteError
from vifistore.store.backend import Backend
from vifistore.store.features import read_status_leniently
from vifistore.store.recipe import recipe_id
from vifistore.store.schema import BLOCK_SIZE, FEATURE_ARRAYS, TODO, check_name

_CHECKSUM_BYTES = 4


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
    """Plans a feature set, writes its blocks and seals it."""

    def __init__(
        self, backend: Backend, dataset: str, recipe: Mapping, shape: Shape, provenance: dict
    ) -> None:
        self._backend = backend
        self.id = recipe_id(recipe)
        self.path = f"features/{check_name('dataset', dataset)}/{self.id}"
        self._shape = shape
        self._run = Run(provenance=provenance)
        self._arrays = self._plan(recipe)
        self.status = read_status_leniently(backend, self.path, shape.video)

    def _plan(self, recipe: Mapping) -> dict[str, zarr.Array]:
        lengths = vars(self._shape)
        if not self._backend.exists(self.path):
            self._backend.make_group(self.path, {"recipe": dict(recipe), "sealed": None})
        arrays = {}
        for name, spec in FEATURE_ARRAYS.items():
            shape = tuple(lengths[axis] for axis in spec.axes)
            arrays[name] = self._backend.make_array(
                f"{self.path}/{name}", spec, shape=shape, chunks=(BLOCK_SIZE, *shape[1:])
            )
        self._backend.sync(f"{self.path}/{name}/zarr.json" for name in arrays)
        return arrays

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
        for name, array in self._arrays.items():
            if name != "status":
                self._write_chunk(name, array, block, rows, data[name])
        self._backend.sync(
            self._backend.chunk_key(f"{self.path}/{name}", array, block)
            for name, array in self._arrays.items()
            if name != "status"
        )
        self._run.blocks.append(block)
        self._write_run()
        self._write_chunk("status", self._arrays["status"], block, rows, data["status"])
        self._backend.sync(
            [self._backend.chunk_key(f"{self.path}/status", self._arrays["status"], block)]
        )
        self.status[rows] = data["status"]

    def _write_chunk(
        self, name: str, array: zarr.Array, block: int, rows: list[int], values: np.ndarray
    ) -> None:
        span = self.block_rows(block)
        kept = [row for row in span if row not in set(rows) and self.status[row] != TODO]
        chunk = np.full((len(span), *array.shape[1:]), FEATURE_ARRAYS[name].fill, array.dtype)
        if kept:
            old = self._backend.read(f"{self.path}/{name}", span.start, span.stop)
            chunk[[row - span.start for row in kept]] = old[[row - span.start for row in kept]]
        chunk[[row - span.start for row in rows]] = values
        array[span.start : span.stop] = chunk

    def _write_run(self) -> None:
        attributes = {**self._run.provenance, "blocks": self._run.spans()}
        self._backend.make_group(f"{self.path}/runs/{self._run.id}", attributes)

    def seal(self) -> dict:
        """Mark the set complete and return `{"rows", "manifest"}`.

        Raises IncompleteError if a planned video is neither done nor quarantined.
        """
        status = read_status_leniently(self._backend, self.path, self._shape.video)
        if todo := int((status == TODO).sum()):
            raise IncompleteError(
                f"feature set {self.id} cannot be sealed: {todo} of {len(status)} videos are to "
                "do; run vifi extract again"
            )
        sealed = {"rows": len(status), "manifest": manifest_digest(self._backend, self.path)}
        runs = self._backend.children(f"{self.path}/runs")
        provenance = [self._backend.attributes(f"{self.path}/runs/{run}") for run in runs]
        attributes = self._backend.attributes(self.path)
        self._backend.make_group(
            self.path, {**attributes, "sealed": sealed, "provenance": provenance}
        )
        return sealed


def manifest_digest(backend: Backend, path: str) -> str:
    """SHA-256 over the names and stored checksums of every chunk of a feature set."""
    digest = hashlib.sha256()
    for name in sorted(FEATURE_ARRAYS):
        if not backend.exists(f"{path}/{name}"):
            continue
        array = backend.open_array(f"{path}/{name}")
        for block in range(-(-array.shape[0] // BLOCK_SIZE)):
            key = backend.chunk_key(f"{path}/{name}", array, block)
            digest.update(f"{name} {block} ".encode() + backend.tail(key, _CHECKSUM_BYTES))
    return digest.hexdigest()
