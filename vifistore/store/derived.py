"""Derived feature sets: what a learned pooling, a head, makes of a parent's frames.

The recipe is the parent's id and the head's digest, so that neither can change unnoticed. There
are no frames: `view_mean` is the head's output, `view_consensus` the same at unit length.
"""

from collections.abc import Callable, Mapping

import numpy as np

from vifistore.errors import DamagedError, IncompleteError, ModelError, UsageError, shell
from vifistore.store.committer import BlockCommitter
from vifistore.store.features import Features
from vifistore.store.full_frames import require_full_frames
from vifistore.store.names import require_free, set_name
from vifistore.store.pooling import unit_views
from vifistore.store.recipe import canonical_json, recipe_id
from vifistore.store.schema import BLOCK_SIZE, DONE, FEATURE_ARRAYS, TODO
from vifistore.store.writer import FeatureWriter, Shape
from vifistore.store.zarr_format.block_ranges import block_rows, num_blocks

Apply = Callable[[np.ndarray], np.ndarray]

# What has no frame axis.
DERIVED_ARRAYS = tuple(name for name, spec in FEATURE_ARRAYS.items() if "frame" not in spec.axes)

# What each video has from its parent.
_COPIED = ("content_digest", "reason", "message", "attempts")


def derived_recipe(parent_id: str, head_digest: str) -> dict:
    """Recipe of the set that a head makes of a parent's frames."""
    return {"parent": parent_id, "head": head_digest}


def write_derived(
    parent: Features,
    *,
    head: Mapping,
    apply: Apply,
    name: str,
    checkpoint: str = "",
    provenance: Mapping | None = None,
) -> Features:
    """Write the feature set that a head makes of a parent's frames, seal it and name it.

    Run again after the parent grew, or after quarantined videos of it were retried, it computes
    only what is new.

    Parameters
    ----------
    parent
        A sealed feature set with frames.
    head
        `digest` (of its kind, settings and weights), `kind`, and any other plain JSON values.
    apply
        Frames float32 [video view frame dim] to [video view dim]; the dimension may be another.
        It always gets 64 videos, zeros where one is missing, so that a video's numbers do not
        depend on which others are there; it must treat each by itself.
    name
        Name of the new set.
    checkpoint
        Digest of the checkpoint whose texts score it; the parent's by default.
    provenance
        Where and with what it is made: host, device, versions, command.

    Raises
    ------
    IncompleteError
        If the parent is not sealed, or no video of it is done.
    UsageError
        If the parent has no frames or pads some, the head has no digest, or the name stands for
        another set.
    ModelError
        If what the head gives has another shape, or is not finite.
    """
    parent.require_sealed()
    parent.require_array("frames")
    require_full_frames(parent, "pool a set of full frames")
    recipe = derived_recipe(parent.id, _digest_of(head))
    checkpoint = checkpoint or parent.checkpoint
    require_free(parent.dataset, name, recipe_id(recipe), checkpoint)
    work = _Derivation(parent, head, apply, recipe, dict(provenance or {}))
    work.run(name, checkpoint)
    return parent.dataset.features(name)


def _digest_of(head: Mapping) -> str:
    digest = head.get("digest")
    if not digest or not isinstance(digest, str):
        raise UsageError("the head has no digest; give one of its kind, settings and weights")
    canonical_json(head)
    return digest


class _Derivation:
    """One run of a head over the blocks of a parent that are new."""

    def __init__(
        self,
        source: Features,
        head: Mapping,
        apply: Apply,
        recipe: dict,
        provenance: dict,
    ) -> None:
        self._source = source
        self._apply = apply
        self._status = source.read_status()
        if not (self._status == DONE).any():
            raise IncompleteError(
                f"feature set {source.name} has no video that is done; see why with: "
                f"{shell('vifi', 'info', source.store.path, '--quarantine')}"
            )
        first = int(np.flatnonzero(self._status == DONE)[0]) // BLOCK_SIZE
        views = self._views(first)
        self.writer = FeatureWriter(
            source.dataset,
            recipe,
            Shape(video=source.num_videos, view=views.shape[1], frame=0, dim=views.shape[2]),
            provenance,
            arrays=DERIVED_ARRAYS,
            about={"head": dict(head), "parent_recipe": source.recipe},
        )

    def run(self, name: str, checkpoint: str) -> None:
        """Write what the set lacks, or has from an earlier content of a video; seal and name it.

        It is named while it is locked: what has neither a name nor a lock may be removed.
        """
        try:
            blocks = range(num_blocks(len(self._status)))
            self.writer.claim(blocks)
            stale = {block: rows for block in blocks if (rows := self._stale_rows(block))}
            settled = any(self.writer.status[rows].any() for rows in stale.values())
            if settled:
                self.writer.unseal()
            with BlockCommitter(self.writer) as committer:
                for block, rows in stale.items():
                    committer.add(block, rows, self._data(block, rows))
            if stale or self.writer.needs_seal:
                self.writer.seal(about={"parent_sealed": self._source.sealed})
            set_name(self._source.dataset, name, self.writer.id, checkpoint, force=False)
        finally:
            self.writer.release()

    def _stale_rows(self, block: int) -> list[int]:
        """Rows of a block whose video is not what it was, or that were never written."""
        rows = self.writer.block_rows(block)
        here = slice(rows.start, rows.stop)
        stale = self.writer.status[here] != self._status[here]
        if (self.writer.status[here] != TODO).any():
            path = f"{self.writer.path}/content_digest"
            try:
                known = self._source.dataset.backend.read(path, rows.start, rows.stop)
            except DamagedError:
                return list(rows)
            stale |= known != self._source.read("content_digest", rows.start, rows.stop)
        return [rows.start + int(i) for i in np.flatnonzero(stale)]

    def _data(self, block: int, rows: list[int]) -> dict[str, np.ndarray]:
        span = self.writer.block_rows(block)
        chosen = np.array(rows) - span.start
        done = self._status[rows] == DONE
        mean = self._views(block)[: len(span)][chosen]
        if not np.isfinite(mean[done]).all():
            first = rows[int(np.flatnonzero(done & ~np.isfinite(mean).all(axis=(1, 2)))[0])]
            raise ModelError(
                f"the head gives numbers that are not finite, first for row {first} of "
                f"{self._source.dataset.name}; train it again with a lower learning rate"
            )
        mean[~done] = np.nan
        copied = {name: self._source.read(name, span.start, span.stop)[chosen] for name in _COPIED}
        views = {"view_mean": mean, "view_consensus": unit_views(mean)}
        return {**views, **copied, "status": self._status[rows]}

    def _views(self, block: int) -> np.ndarray:
        """float32 [BLOCK_SIZE view dim]: what the head makes of a block, and of zeros behind it."""
        rows = block_rows(block, len(self._status))
        frames = self._source.read("frames", rows.start, rows.stop)
        full = np.zeros((BLOCK_SIZE, *frames.shape[1:]), np.float32)
        done = self._status[rows.start : rows.stop] == DONE
        full[: len(frames)][done] = frames[done]
        views = np.array(self._apply(full), np.float32)
        if views.ndim != 3 or views.shape[:2] != full.shape[:2] or not views.shape[2]:
            raise ModelError(
                f"the head turns frames {full.shape} into {views.shape}; give one that makes "
                "[video view dim] of [video view frame dim]"
            )
        return views
