"""Write a feature set, a group of blocks at a time, and seal it.

A block is 64 consecutive videos and one chunk of each array. Its data is on the disk before its
status says so; a block is rewritten whole, by rename, with the rows that were done left equal.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vifistore.errors import DamagedError, IncompleteError, StoreError, UsageError
from vifistore.store.claims.claiming import BY_CLAIMS, Claiming, open_claims
from vifistore.store.dataset import Dataset
from vifistore.store.feature_record import NUM_QUARANTINED, FurtherArray, read_feature_fields
from vifistore.store.key_value.disk import clear_disk_errors
from vifistore.store.planning import plan_set
from vifistore.store.recipe import recipe_id
from vifistore.store.run_record import RunRecord, neighbours, sealed_provenance
from vifistore.store.schema import BLOCK_SIZE, FEATURE_ARRAYS, QUARANTINED, TODO, check_name
from vifistore.store.zarr_format.backend import Backend
from vifistore.store.zarr_format.block_files import BlockFiles
from vifistore.store.zarr_format.block_ranges import block_rows
from vifistore.store.zarr_format.chunks import manifest_digest
from vifistore.store.zarr_format.coding import encode_chunk

UNSEALED = "unsealed"
"""Attribute of a set that is being changed: another value each time."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Lengths of the axes of a feature set."""

    video: int
    view: int
    frame: int
    dim: int


@dataclass(frozen=True, kw_only=True)
class BlockData:
    """Videos of one block, to be written."""

    block: int
    rows: list[int]
    """Which of its rows, ascending; others stay as they are."""
    data: Mapping[str, np.ndarray]
    """Every array of the set by name, with one entry per row of `rows`."""
    readers: Sequence[str] = ()
    """What read the video of each row; empty of one that nothing did, and where none was read."""


class FeatureWriter:
    """Plans a feature set, writes its blocks and seals it.

    A block is locked before it is written, until `release` or the end of the process. Raises
    LockedError where another process holds it, DamagedError for a sealed set that lost part of its
    status, StoreError for a disk that is full or read-only.
    """

    def __init__(
        self,
        dataset: Dataset,
        recipe: Mapping,
        shape: Shape,
        provenance: dict,
        *,
        arrays: Iterable[str] = tuple(FEATURE_ARRAYS),
        further: Mapping[str, FurtherArray] | None = None,
        about: Mapping | None = None,
        by_claims: bool = False,
    ) -> None:
        """`arrays` names those of FEATURE_ARRAYS that the set has: some come without frames.

        `further` are those that it has beside them, by name: `num_valid` (FRAME_COUNTS) where views
        may have fewer frames than `shape` says, and what an encoder leaves beside its frames.
        `about` holds further attributes of a set that is new; `by_claims` has its blocks written
        under claims also on a disk. Raises UsageError for arrays that a
        set cannot have, or others than it has.
        """
        self._backend = dataset.backend
        self.id = recipe_id(recipe)
        check_name("dataset", dataset.name)
        self.path = dataset.feature_path(self.id)
        self._shape = shape
        self._run = RunRecord(self.path, provenance)
        self._claims = open_claims(dataset.backend, dataset.name, self.id, by_claims=by_claims)
        with clear_disk_errors(dataset.backend.folder), self._claims.turn() as backend:
            told = {BY_CLAIMS: True} if by_claims else {}
            attributes = {"recipe": dict(recipe), "sealed": None, **(about or {}), **told}
            self._layouts = plan_set(
                *(backend, self.path, vars(shape), arrays, further or {}, attributes)
            )
            self._claims.begin(backend)
        self.status = np.full(shape.video, TODO, np.uint8)
        self.refresh()

    @property
    def claims(self) -> Claiming:
        """What it has its blocks by, for what is written beside them."""
        return self._claims

    def claim(self, blocks: Iterable[int]) -> None:
        """Lock blocks, and learn what others have written in them since the set was opened.

        Raises LockedError, with nothing more locked, if another process holds one of them.
        """
        self._learn_blocks(self._claims.acquire(blocks))

    def claim_free(self, blocks: Iterable[int]) -> list[int]:
        """As `claim`, of those blocks that nobody has; return them, ascending."""
        taken = self._claims.take_free(blocks)
        self._learn_blocks(taken)
        return taken

    def _learn_blocks(self, blocks: Iterable[int]) -> None:
        for first, last in neighbours(blocks):
            self._learn(self.block_rows(first).start, self.block_rows(last).stop)

    def refresh(self) -> None:
        """Learn what other processes have written since."""
        self._learn(0, self._shape.video)

    def _learn(self, start: int, stop: int) -> None:
        # Asked before: it may be sealed while its status is read; and again, as that may end.
        sealed = self.sealed
        status = self._claims.read_status(start, stop)
        is_lacking = sealed and (status[: max(0, sealed["rows"] - start)] == TODO).any()
        if is_lacking and self.sealed == sealed:
            raise DamagedError(
                f"feature set {self.id} is sealed but lost part of its status; find out more with "
                f"{self._backend.verify_command}, then run vifi extract again with --repair"
            )
        self.status[start:stop] = status

    def release(self, blocks: Iterable[int] | None = None) -> None:
        """Let other processes write these of the blocks that were claimed or written, or all."""
        self._claims.release(blocks)

    @property
    def sealed(self) -> dict | None:
        """`{"rows", "manifest"}` of the last sealing, or None."""
        return read_feature_fields(self._backend, self.path)["sealed"]

    def block_rows(self, block: int) -> range:
        """Rows of the videos of a block."""
        return block_rows(block, self._shape.video)

    def todo_rows(self, block: int) -> list[int]:
        """Rows of a block that are neither done nor quarantined."""
        return [row for row in self.block_rows(block) if self.status[row] == TODO]

    def require_settled(self, rows: list[int]) -> None:
        """Raise IncompleteError if one of these rows is neither done nor quarantined."""
        if todo := [row for row in rows if self.status[row] == TODO]:
            raise IncompleteError(
                f"{len(todo)} of the {len(rows)} videos of this run are neither done nor "
                f"quarantined, the first is row {todo[0]}; run vifi extract again"
            )

    def todo_blocks(self) -> list[int]:
        """Blocks with anything to do, in order."""
        return sorted({int(row) // BLOCK_SIZE for row in np.flatnonzero(self.status == TODO)})

    def write_block(self, block: int, rows: list[int], data: Mapping[str, np.ndarray]) -> None:
        """Write some rows of one block: arrays [row ...] by name; see `write_blocks`."""
        self.write_blocks([BlockData(block=block, rows=rows, data=data)])

    def write_blocks(self, group: Sequence[BlockData]) -> None:
        """Write a group of blocks; they last when it returns.

        Every other file of the group is on the disk, and has its name, before a status has. The
        disk is waited for once a group, not once a block. Raises UsageError for a block that lacks
        an array of the set.
        """
        for part in group:
            if lacking := self._layouts.keys() - part.data.keys():
                raise UsageError(
                    f"block {part.block} comes without {', '.join(sorted(lacking))}; give an array "
                    "of every name that the set has"
                )
        assert len({part.block for part in group}) == len(group), "a block comes twice"
        self.claim(part.block for part in group)
        with clear_disk_errors(self._backend.folder):
            self._write(group)
        for part in group:
            self.status[part.rows] = part.data["status"]

    def _write(self, group: Sequence[BlockData]) -> None:
        names = [name for name in self._layouts if name != "status"]
        files = {
            part.block: BlockFiles(
                chunks={name: self._file(name, part) for name in names},
                status=self._file("status", part),
            )
            for part in group
        }
        self._run = self._run.gone_on_with()
        self._run.add(part.block for part in group)
        for part in group:
            self._run.add_readers(part.rows, part.readers or [""] * len(part.rows))
        record = self._backend.group_files(self._run.path, self._run.attributes())
        if not self._backend.exists(self.path):
            raise StoreError(
                f"feature set {self.id} was removed while it was written; run the same command "
                "again"
            )
        self._claims.put(files, record)

    def _file(self, name: str, part: BlockData) -> tuple[str, Sequence]:
        """Key and content of one chunk of a block."""
        layout = self._layouts[name]
        chunk = self._chunk(name, part.block, part.rows, part.data)
        return layout.key(f"{self.path}/{name}", part.block), encode_chunk(chunk, layout)

    def _chunk(
        self, name: str, block: int, rows: list[int], data: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """A block of the array `name`: `data` in `rows`, what is settled elsewhere as it is."""
        layout, span = self._layouts[name], self.block_rows(block)
        if len(rows) == layout.size:
            return data[name]
        chunk = np.full(layout.chunk_shape, layout.fill, layout.dtype)
        here = np.array(rows) - span.start
        kept = self.status[span.start : span.stop] != TODO
        kept[here] = False
        if kept.any():
            # Else a lost chunk would be written anew, and sealed, as if it had been empty.
            old = self._backend.read(f"{self.path}/{name}", span.start, span.stop, may_lack=False)
            chunk[: len(span)][kept] = old[kept]
        chunk[here] = data[name]
        return chunk

    @property
    def needs_seal(self) -> bool:
        """Whether some planned row lies outside what was sealed last."""
        sealed = self.sealed
        return sealed is None or sealed["rows"] < self._shape.video

    def unseal(self) -> None:
        """Say that the set is changing, of which blocks were claimed; `seal` ends that.

        Whoever seals it meanwhile is waited for.
        """
        with clear_disk_errors(self._backend.folder), self._claims.turn() as backend:
            attributes = backend.attributes(self.path)
            # Also of one that is not sealed: who was about to, and lost its turn, finds it changed.
            told = {"sealed": None, UNSEALED: uuid.uuid4().hex}
            backend.make_group(self.path, {**attributes, **told})

    def reopen(self, rows: Sequence[int]) -> None:
        """Have these rows of blocks that were claimed count as to do, whoever does them; give the
        blocks up. What they were, and all others, stay as they are until they are written."""
        layout, status = self._layouts["status"], self.status.copy()
        status[rows] = TODO
        spans = {block: self.block_rows(block) for block in {row // BLOCK_SIZE for row in rows}}
        told = {
            block: (layout.key(f"{self.path}/status", block), status[span.start : span.stop])
            for block, span in spans.items()
        }
        with clear_disk_errors(self._backend.folder):
            self._claims.reopen({b: (key, codes.tobytes()) for b, (key, codes) in told.items()})
        self.status = status
        self.release(told)

    def seal(self, about: Mapping | None = None) -> dict:
        """Mark the set complete and return `{"rows", "manifest"}`.

        `about` holds further attributes, kept at the same moment. Raises IncompleteError if a
        planned video is neither done nor quarantined.
        """
        with clear_disk_errors(self._backend.folder), self._claims.turn() as backend:
            sealed = self._seal(backend, about or {})
            self._claims.tidy()
        return sealed

    def _seal(self, backend: Backend, about: Mapping) -> dict:
        if (before := self.sealed) and before["rows"] > self._shape.video:
            # By a process that knows of videos which were added since this one began.
            return before
        # Read again: other processes may have written the other blocks.
        self.status = self._claims.read_status(0, self._shape.video)
        if todo := int((self.status == TODO).sum()):
            raise IncompleteError(
                f"feature set {self.id} cannot be sealed: {todo} of {len(self.status)} videos are "
                "to do; run vifi extract again"
            )
        stored = self._claims.settled_checksums(len(self.status))
        sealed = {"rows": len(self.status), "manifest": manifest_digest(stored)}
        runs = backend.children(f"{self.path}/runs")
        told = [backend.attributes(f"{self.path}/runs/{run}") for run in runs]
        attributes = backend.attributes(self.path)
        attributes.pop(UNSEALED, None)
        num_quarantined = int((self.status == QUARANTINED).sum())
        changed = {**about, "sealed": sealed, NUM_QUARANTINED: num_quarantined}
        changed["provenance"] = sealed_provenance(told)
        backend.make_group(self.path, {**attributes, **changed})
        return sealed
