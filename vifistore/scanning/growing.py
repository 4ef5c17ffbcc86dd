"""What a dataset has of the files that a source lists: nothing of these is probed or cut again."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from vifistore.errors import UsageError
from vifistore.sources.remote_root import RemoteRoot
from vifistore.sources.roots import root_of
from vifistore.store.dataset import Dataset
from vifistore.store.schema import STRETCH_COLUMNS
from vifistore.store.stretch_times import are_parts
from vifistore.videos.cutting import Cut, Part, cut_videos, in_parts
from vifistore.videos.listed_times import settled
from vifistore.videos.probe import Probe
from vifistore.videos.records import Listing
from vifistore.videos.stretches import Windows, stretch_of

_PROBED = tuple(Probe.__dataclass_fields__)


class StoredFiles:
    """The files of a dataset by their paths; none, where it is still to be made."""

    def __init__(self, dataset: Dataset | None) -> None:
        self._dataset = dataset
        # Before its columns are read: who changes it meanwhile is noticed.
        self._table = _attributes(dataset)

    def as_now(self, dataset: Dataset) -> "StoredFiles":
        """The files as they are by now, in this process's turn.

        Raises UsageError for a dataset that was still to be made, and is there.
        """
        there = dataset if dataset.exists else None
        if _attributes(there) == self._table:
            return self
        if self._dataset is None:
            raise UsageError(
                f"another process has made dataset {dataset.name} meanwhile; run the same command "
                "with --append"
            )
        return StoredFiles(there)

    @cached_property
    def _columns(self) -> Mapping[str, np.ndarray]:
        names = ("id", "path", *_PROBED, *STRETCH_COLUMNS)
        if self._dataset is None:
            return dict.fromkeys(names, np.empty(0))
        return self._dataset.columns_at_once(*names)

    @cached_property
    def _ids(self) -> frozenset[str]:
        return frozenset(self._columns["id"])

    @cached_property
    def _first(self) -> dict[str, int]:
        """Path -> the first row of its file."""
        paths = self._columns["path"].tolist()
        return dict(zip(reversed(paths), reversed(range(len(paths))), strict=True))

    def _rows(self, wanted: Collection[str]) -> dict[str, list[int]]:
        """Path -> all rows of its file, of those files that are wanted."""
        rows: dict[str, list[int]] = {path: [] for path in wanted}
        if rows:
            for row, path in enumerate(self._columns["path"].tolist()):
                if path in rows:
                    rows[path].append(row)
        return rows

    def _part(self, row: int) -> Part:
        start, end = (float(self._columns[name][row]) for name in STRETCH_COLUMNS)
        return self._columns["id"][row], stretch_of(start, end)

    def probe(self, path: str) -> Probe | None:
        """What is known of the header of a file; None where it was not there or not read."""
        row = self._first.get(path, -1)
        if row < 0 or not self._columns["size_bytes"][row]:
            return None
        return Probe(**{name: self._columns[name][row].item() for name in _PROBED})

    def seconds(self, path: str) -> float:
        """How long a file is as far as it is known, else 0."""
        known = self.probe(path)
        return known.duration_seconds if known else 0.0

    def below(self, root: Path | RemoteRoot | None) -> Collection[str]:
        """The paths of the dataset's files, if they start from this root."""
        is_its = self._dataset is not None and root_of(root or Path()) == self._dataset.root()
        return self._first if is_its else ()

    def new_rows(self, listing: Listing) -> list[int]:
        """The rows of a listing that the dataset does not have."""
        return [row for row, name in enumerate(listing.ids) if name not in self._ids]

    def new_files(self, listing: Listing) -> list[int]:
        """A row of each file of those that is to be probed."""
        first: dict[str, int] = {}
        for row in self.new_rows(listing):
            first.setdefault(listing.paths[row], row)
        return [row for path, row in first.items() if self.probe(path) is None]

    def joined(self, listing: Listing) -> Listing:
        """A listing with the dataset's own videos where it has the same parts of files by other
        ids, and where it has a file in parts that is listed as a whole.

        What a source calls by an id of its own is a video of its own.
        """
        rows = self.new_rows(listing)
        lengths = {path: self.seconds(path) for path in {listing.paths[row] for row in rows}}
        known = [row for row in rows if lengths[listing.paths[row]]]
        told = settled(listing, known, lengths)
        listing = replace(told.listing, notes=[*listing.notes, *told.warnings])
        called = [
            row
            for row in self.new_rows(listing)
            if listing.paths[row] in self._first
            and listing.ids[row] == listing.paths[row] + listing.stretch(row).suffix
        ]
        rows_of = self._rows({listing.paths[row] for row in called})
        parts = {}
        for row in called:
            stretch = listing.stretch(row)
            there = [self._part(at) for at in rows_of[listing.paths[row]]]
            same = [part for part in there if part[1] == stretch]
            if same or stretch.is_whole:
                parts[row] = same[:1] or there
        return in_parts(listing, parts)

    def has_stretches(self) -> bool:
        """Whether a row of the dataset is a part of its file."""
        return bool(are_parts(*(self._columns[name] for name in STRETCH_COLUMNS)).any())


def _attributes(dataset: Dataset | None) -> dict:
    return dataset.backend.attributes(dataset.path) if dataset else {}


def cut_new(
    stored: StoredFiles, listing: Listing, probes: Mapping[str, Probe], windows: Windows | None
) -> Cut:
    """A listing whose new videos are the parts of their files that lists give times of, and cut
    into `windows`, if there are any, given the probes of new files by their paths.

    What the dataset has stays as it is. Raises UsageError as `settled` does.
    """
    rows = stored.new_rows(listing)
    seconds = {path: stored.seconds(path) for path in {listing.paths[row] for row in rows}}
    seconds |= {path: probe.duration_seconds for path, probe in probes.items()}
    told = settled(listing, rows, seconds)
    rows = stored.new_rows(told.listing)
    if windows is None:
        cut = Cut(listing=told.listing, notes=_whole(stored, told.listing, rows))
    else:
        cut = cut_videos(told.listing, windows, rows, seconds)
    notes, warnings = [*told.notes, *cut.notes], [*told.warnings, *cut.warnings]
    return Cut(listing=cut.listing, notes=notes, warnings=warnings)


def _whole(stored: StoredFiles, listing: Listing, rows: Collection[int]) -> list[str]:
    """Whether new videos are whole beside others that are not."""
    whole = sum(listing.stretch(row).is_whole for row in rows)
    if not (whole and stored.has_stretches()):
        return []
    remark = "while others of the dataset are stretches; --window SECONDS cuts long ones"
    return [f"{whole:,} videos are added whole, {remark}"]
