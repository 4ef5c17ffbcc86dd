"""A feature set, read: the embeddings of one dataset by one recipe."""

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import zarr

from vifistore.errors import DamagedError, IncompleteError, UsageError
from vifistore.store.claims.status_chunks import read_status_leniently
from vifistore.store.feature_record import NUM_VALID, FeatureRecord
from vifistore.store.names import resolve
from vifistore.store.run_record import read_readers
from vifistore.store.schema import DONE, QUARANTINED, TODO
from vifistore.store.selection import Selection, choose_rows
from vifistore.store.zarr_format.block_ranges import blocks_within, stretches

if TYPE_CHECKING:
    from vifistore.store.dataset import Dataset
    from vifistore.store.store import Store

# As much as one step of an iteration holds.
_STEP_BYTES = 32 * 2**20


class Features(FeatureRecord):
    """One feature set; arrays are opened when they are asked for."""

    def __init__(self, dataset: "Dataset", name_or_id: str) -> None:
        name = resolve(dataset, name_or_id)
        super().__init__(dataset.backend, dataset.feature_path(name.id))
        self.dataset = dataset
        self.name = name.name
        self.checkpoint = name.checkpoint

    @property
    def store(self) -> "Store":
        """The store that it is in."""
        return self.dataset.store

    def __repr__(self) -> str:
        """Its name, id and dataset, and whether it is complete."""
        state = f"{self.sealed['rows']} videos, sealed" if self.sealed else "not sealed"
        name = self.id if self.name == self.id else f"{self.name} ({self.id})"
        return f"<Features {name} of {self.dataset}: {state}>"

    @property
    def names(self) -> list[str]:
        """Names that stand for this feature set."""
        names = self.dataset.names()
        return [name.name for name in names if name.id == self.id]

    @cached_property
    def frames(self) -> zarr.Array | None:
        """float16 [video view frame dim], un-normalised; None for a set without frames."""
        return self.array("frames")

    @cached_property
    def view_mean(self) -> zarr.Array:
        """float32 [video view dim]: mean over frames."""
        return self._backend.open_array(self.array_path("view_mean"))

    @cached_property
    def view_consensus(self) -> zarr.Array:
        """float32 [video view dim]: mean over frames of the L2-normalised embeddings."""
        return self._backend.open_array(self.array_path("view_consensus"))

    @property
    def num_valid(self) -> np.ndarray:
        """uint16 [video view]: how many of the frames of a view count; those behind only pad it."""
        return self.read(NUM_VALID)

    @cached_property
    def timestamps(self) -> zarr.Array:
        """float32 [video view frame]: seconds of the sampled frames."""
        return self._backend.open_array(self.array_path("timestamps"))

    @cached_property
    def status(self) -> zarr.Array:
        """uint8 [video]: 0 to do, 1 done, 2 quarantined."""
        return self._backend.open_array(self.array_path("status"))

    @cached_property
    def num_videos(self) -> int:
        """Videos that the set covers: sealed rows, or planned ones while it is not sealed.

        Raises DamagedError for more than the dataset has.
        """
        if not self.sealed and not self._backend.exists(f"{self.path}/status"):
            # A run of before was stopped when it had just begun, and has planned none yet.
            return 0
        count = self.sealed["rows"] if self.sealed else self.status.shape[0]
        # Read last: a dataset only grows.
        known = self.dataset.num_videos
        if count > known:
            raise DamagedError(
                f"feature set {self.id} says that it covers {count} videos, and "
                f"{self.dataset.name} has {known}; run: {self._backend.verify_command}"
            )
        return count

    def read(
        self, name: str, start: int = 0, stop: int | None = None, *, may_lack: bool | None = None
    ) -> np.ndarray:
        """Read rows [start, stop) of the array `name`, [video ...], checksums verified.

        `num_valid` of a set that keeps none is its number of frames. `may_lack` says whether a
        chunk that is not there reads as the fill value; by default that of a set that is not sealed
        does. Raises DamagedError if a chunk does not match its checksum, or is lost.
        """
        stop = self.num_videos if stop is None else min(stop, self.num_videos)
        if name == NUM_VALID and not self.has_num_valid:
            return self._all_valid(max(stop - start, 0))
        may_lack = not self.sealed if may_lack is None else may_lack
        return self._backend.read(self.array_path(name), start, stop, may_lack=may_lack)

    def read_chosen(self, name: str, rows: np.ndarray, *, verify: bool = True) -> np.ndarray:
        """Read `rows`, [video], of the array `name`, [video ...], in their order, as `read` does.

        Without `verify` only these rows are read, not their whole chunks, and damage to them goes
        unnoticed. Raises DamagedError if a chunk does not match its checksum, or is lost.
        """
        if name == NUM_VALID and not self.has_num_valid:
            return self._all_valid(len(rows))
        path, may_lack = self.array_path(name), not self.sealed
        return self._backend.read_chosen(path, rows, verify=verify, may_lack=may_lack)

    def _all_valid(self, num_videos: int) -> np.ndarray:
        """`num_valid` of a set that keeps none: its number of frames."""
        if self.frames is None:
            self.require_array("frames")
        _, views, num_frames, _ = self._backend.layout(self.array_path("frames")).shape
        return np.full((num_videos, views), num_frames, np.uint16)

    def content_digests(self, rows: np.ndarray) -> np.ndarray:
        """SHA-256 of the files of these rows [video], object [video]; empty where none was read.

        A stretch has that of all its file. Raises DamagedError as `read_chosen` does.
        """
        return self.read_chosen("content_digest", rows)

    def content_keys(self, rows: np.ndarray | None = None) -> np.ndarray:
        """What tells the content of videos apart, object [video]; see `Dataset.content_keys`.

        `rows`, [video], chooses some. Raises DamagedError if a chunk does not match its checksum.
        """
        rows = np.arange(self.num_videos) if rows is None else rows
        return self.dataset.content_keys(self.content_digests(rows), rows)

    def select(
        self,
        *,
        ids: Sequence[str] | None = None,
        split: str = "",
        label: str = "",
        rows: Iterable[int] | None = None,
        arrays: Sequence[str] = ("view_mean",),
        verify: bool = True,
    ) -> Selection:
        """Read chosen videos, with their ids and labels, in one go.

        Parameters
        ----------
        ids, split, rows
            Which videos, in which order: give one of them, or none for all videos of the set.
        label
            Only those of this class.
        arrays
            Names of the arrays to read. With frames comes `num_valid`, where the set keeps it.
        verify
            Whether checksums are verified. That reads whole chunks of 64 videos; without it a few
            videos out of many are read several times faster, and a damaged one goes unnoticed.

        Raises
        ------
        UsageError
            For more than one of ids, split and rows, videos that the set does not cover, and
            arrays that it lacks.
        UnknownNameError
            For an unknown id, split or label.
        DamagedError
            If a chunk does not match its checksum, or is lost.
        """
        arrays = self._checked(arrays)
        chosen, labels = choose_rows(
            self.dataset,
            self.num_videos,
            ids=ids,
            split=split,
            label=label,
            rows=rows,
        )
        return Selection(
            rows=chosen,
            ids=self.dataset.column("id")[chosen],
            labels=labels,
            status=self.read_status(chosen),
            arrays={name: self.read_chosen(name, chosen, verify=verify) for name in arrays},
        )

    def blocks(
        self, arrays: Sequence[str] = ("view_mean",)
    ) -> Iterator[tuple[range, dict[str, np.ndarray]]]:
        """Go through all videos in memory that does not grow: rows, and arrays [video ...] by name.

        A step covers some tens of mebibytes. With frames comes `num_valid`, as in `select`. Raises
        UsageError for an array that the set lacks, DamagedError if a chunk does not match its
        checksum.
        """
        arrays = self._checked(arrays)
        most = blocks_within(_STEP_BYTES, sum(map(self._bytes_per_video, arrays)))
        for start, stop in stretches(0, self.num_videos, most):
            yield range(start, stop), {name: self.read(name, start, stop) for name in arrays}

    def _checked(self, arrays: Sequence[str]) -> Sequence[str]:
        """The names of arrays that the set has, and `num_valid` with frames that it may pad."""
        for name in arrays:
            self.require_array(name)
        may_pad = "frames" in arrays and self.has_num_valid
        return tuple(dict.fromkeys([*arrays, *((NUM_VALID,) if may_pad else ())]))

    def _bytes_per_video(self, name: str) -> int:
        array = self._backend.open_array(self.array_path(name))
        return array.dtype.itemsize * math.prod(array.shape[1:])

    def read_status(self, rows: np.ndarray | None = None) -> np.ndarray:
        """uint8 [video] of the videos covered, or of these `rows`, [video]: no other chunks are
        read of a sealed set.

        A status that cannot be read means that the video is still to do, except in a sealed set.
        Raises DamagedError there.
        """
        rows = np.arange(self.num_videos) if rows is None else rows
        if not self.sealed:
            return read_status_leniently(self._backend, self.path, 0, self.num_videos)[rows]
        status = self._backend.read_chosen(self.array_path("status"), rows)
        if (status == TODO).any():
            raise DamagedError(
                f"feature set {self.id} of {self.dataset.name} is sealed but lost part of its "
                f"status; run: {self._backend.verify_command}"
            )
        return status

    def counts(self, *, as_sealed: bool = False) -> dict[str, int]:
        """How many videos are planned, done, quarantined and to do; `as_sealed` those that were
        counted when the set was sealed, where that was kept: no chunk is read then."""
        if as_sealed and (kept := self.num_quarantined) is not None:
            done = self.num_videos - kept
            return {"videos": done + kept, "done": done, "quarantined": kept, "todo": 0}
        status = self.read_status()
        kinds = {"done": DONE, "quarantined": QUARANTINED, "todo": TODO}
        counts = {name: int((status == kind).sum()) for name, kind in kinds.items()}
        return {"videos": len(status), **counts}

    def require_sealed(self) -> None:
        """Raise IncompleteError if some planned video is neither done nor quarantined."""
        if not self.sealed:
            counts = self.counts()
            again = "make it of its parent" if self.parent else "run vifi extract"
            raise IncompleteError(
                f"feature set {self.name} of {self.dataset.name} is not sealed: {counts['todo']} "
                f"of {counts['videos']} videos are to do; {again} again, or give --partial"
            )

    def quarantine(self) -> list[dict]:
        """One dict per quarantined video: row, reason, message, attempts."""
        rows = np.flatnonzero(self.read_status() == QUARANTINED)
        names = ("reason", "message", "attempts")
        columns = [self.read_chosen(name, rows) for name in names]
        return [
            {"row": int(row), "reason": str(why), "message": str(message), "attempts": int(times)}
            for row, why, message, times in zip(rows, *columns, strict=True)
        ]

    def readers(self) -> np.ndarray:
        """What read each video, object [video]: "decord by-number", "pyav wanted-only", "pyav
        by-time", "pyav in-order", "pillow"; empty where nothing did, or it is not known."""
        return read_readers(self._backend, self.path, self.num_videos)

    def array(self, name: str) -> zarr.Array | None:
        """An array [video ...] by its name; None if the set lacks it."""
        is_there = self._backend.exists(f"{self.path}/{name}")
        return self._backend.open_array(self.array_path(name)) if is_there else None

    def require_array(self, name: str) -> zarr.Array:
        """An array [video ...] by its name.

        Raises UsageError if the set lacks it, as mean-only and derived sets do.
        """
        array = self.array(name)
        if array is None:
            raise UsageError(
                f"feature set {self.name} of {self.dataset.name} has no {name}; use one that was "
                "extracted from videos, or a fusion that does not need it"
            )
        return array
