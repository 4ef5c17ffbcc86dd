"""Embeddings made elsewhere, with labels and splits from a table: no video needs to be there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vifistore.errors import UsageError
from vifistore.scanning.scan import ScanReport, add_listing, find_dataset
from vifistore.scanning.stored_listing import split_members
from vifistore.store.importing.formats import (
    ImportSettings,
    known_ids,
    open_source,
    target_of,
)
from vifistore.store.importing.import_source import ImportSource
from vifistore.store.importing.writing import ImportReport, Target, check_source, write_source
from vifistore.store.schema import check_name
from vifistore.store.store import Store, create_store, find_store
from vifistore.videos.checks import Doubt, check_listing, refuse
from vifistore.videos.known import KnownVideos
from vifistore.videos.listing import read_source
from vifistore.videos.probe import Probe
from vifistore.videos.records import Listing


@dataclass(frozen=True, kw_only=True)
class TableSettings:
    """A table of labels and splits, and how it is read."""

    table: Path | None = None
    """Labels and splits of the videos, which need not be there: a CSV with the columns id or path,
    and label, split or both, or a list that vifi scan reads. Its lines are the rows of an npy
    array without --ids. Alone, without PATH, it makes a dataset or adds to one."""
    labels: Path | None = None
    """Class file of a table whose labels are numbers."""
    split: str | None = None
    """Name of the split that the table forms, or which split of it to take."""

    def __post_init__(self) -> None:
        if self.table is None and (self.labels is not None or self.split is not None):
            raise UsageError("--labels and --split say how --table is read; give it too")


@dataclass(frozen=True, kw_only=True)
class BroughtReport:
    """What a table, and embeddings with it, brought."""

    features: ImportReport | None
    """The feature set, where there was one."""
    dataset: ScanReport
    """Videos and splits of the dataset."""
    notes: Sequence[str | Doubt]
    """What was chosen, and what may be wrong."""


def bring(
    location: str | Path, path: str, settings: ImportSettings, table: TableSettings
) -> BroughtReport:
    """Import the labels and splits of a table, and the embeddings at `path` unless it is empty.

    Everything is checked before anything is written. Raises UsageError with what is wrong with the
    table or the embeddings, and what `import_features` raises.
    """
    check_name("dataset", settings.dataset)
    if settings.format == "zarr":
        raise UsageError("a store brings labels and splits of its own; leave --table out")
    store = find_store(location)
    listing, features = _opened(store, path, settings, table)
    # What embeddings have beyond a dataset that exists is refused by the check of them.
    is_new = store is None or settings.dataset not in store.datasets()
    rows = list(range(len(listing.ids))) if is_new else []
    problems = check_listing(listing, split_members(find_dataset(store, settings.dataset)))
    refuse(problems)
    if features:
        check_source(store, *features)
    store = create_store(location)
    report = add_listing(store.new_dataset(settings.dataset), listing, rows, [Probe()] * len(rows))
    written = write_source(store, *features) if features else None
    missing = f"{len(listing.missing):,} listed videos are not in the dataset"
    return BroughtReport(
        features=written,
        dataset=report,
        notes=[*listing.notes, *([missing] if listing.missing else []), *problems],
    )


def _opened(
    store: Store | None, path: str, settings: ImportSettings, table: TableSettings
) -> tuple[Listing, tuple[ImportSource, Target] | None]:
    """The listing of the table, with every video of the source, and the source if there is one."""
    assert table.table is not None, "only embeddings come without a table"
    known = known_ids(store, settings.dataset)
    # Only an array has rows that a table can name: everything else names its own.
    is_array = settings.format == "npy" and Path(path).is_file()
    source = None
    if path and not (is_array and not settings.ids):
        source = open_source(Path(path), settings, known)
    own = source.videos["id"].tolist() if source else None
    listing = read_source(
        table.table,
        split=table.split,
        labels=table.labels,
        known=KnownVideos(known or own),
    )
    if path and source is None:
        source = open_source(Path(path), settings, known, listing.ids)
    features = (source, target_of(store, source, settings)) if source else None
    root = store.dataset(settings.dataset).root() if store and known else Path(settings.root)
    return replace(_with_all(listing, source), root=root), features


def _with_all(listing: Listing, source: ImportSource | None) -> Listing:
    """The listing with the videos of the source that it does not name, without a label."""
    named = set(listing.ids)
    more = [name for name in source.videos["id"] if name not in named] if source else []
    return replace(
        listing,
        ids=[*listing.ids, *more],
        paths=[*listing.paths, *more],
        labels=[*listing.labels, *[""] * len(more)],
    )
