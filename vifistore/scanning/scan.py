"""From a listing to the store: the table of videos, splits and captions of a dataset."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vifistore.errors import UsageError
from vifistore.scanning.growing import StoredFiles
from vifistore.scanning.stored_listing import classes_of
from vifistore.sources.roots import Root, footage_at
from vifistore.store.dataset import Dataset, write_captions, write_videos
from vifistore.store.schema import check_name
from vifistore.store.splits import GROWN, OTHER, Split, split_change, write_split
from vifistore.store.store import Store
from vifistore.store.table_turn import tables_in_turn
from vifistore.videos.class_lists import joined
from vifistore.videos.probe import Probe, probe_all
from vifistore.videos.records import Listing, SplitListing

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class ScanReport:
    """What a scan added."""

    added: int
    """Videos that were not in the dataset."""
    videos: int
    """Videos of the dataset now."""
    splits: tuple[str, ...]
    """Splits written."""
    replaced: tuple[str, ...]
    """Those of them that were there with other videos or labels."""
    grown: tuple[str, ...] = ()
    """Those of them that were there, and have more videos now."""


def find_dataset(store: Store | None, name: str) -> Dataset | None:
    """The dataset of that name; None where it, or the store, is still to be made."""
    if store is None or name not in store.datasets():
        return None
    return store.dataset(name)


def require_addable(dataset: Dataset | None, listing: Listing, *, append: bool) -> None:
    """Raise UsageError if the listing is empty, or the dataset exists and `append` is False, or its
    videos are not below the root of the listing."""
    for name in listing.splits:
        check_name("split", name)
    if not listing.ids:
        raise UsageError(
            f"no video was found below {listing.root}; give a folder that holds videos, or the "
            "right --root"
        )
    if dataset is None:
        return
    if not append:
        raise UsageError(
            f"dataset {dataset.name} is in {dataset.store.path} already; add videos and splits "
            "to it with --append, or choose another --dataset"
        )
    _check_root(dataset, listing.root)


def _check_root(dataset: Dataset, new: Root) -> None:
    """Raise UsageError if a new root would lose videos that the dataset has.

    All its paths start from the new one, which may lie elsewhere, with some videos left out.
    """
    old = dataset.root()
    # What was imported has no root until its videos are scanned.
    if new == old or old == Path():
        return
    paths = list(dict.fromkeys(dataset.column("path")))
    lost = [path for path in paths if not footage_at(new, path).exists()]
    still_there = next((path for path in lost if footage_at(old, path).exists()), "")
    if still_there or (lost and len(lost) == len(paths)):
        raise UsageError(
            f"the videos of {dataset.name} lie below {old}, and {len(lost)} of {len(paths)} are "
            f"not below {new} (first: {still_there or lost[0]}); give the folder that holds all of "
            "them with --root, or choose another --dataset"
        )


def add_listing(
    dataset: Dataset,
    listing: Listing,
    rows: list[int],
    probes: Iterable[Probe],
    *,
    replace_splits: bool = False,
) -> ScanReport:
    """Write the rows of a listing, with a probe each, and its splits and captions.

    Splits that the dataset has already are scored over its new classes, too, unless they have a
    list of their own; and they grow, where the listing has all of their videos and more. Raises
    UsageError, and writes nothing, if a split of a name that is taken has other rows and is not to
    be replaced.
    """
    with tables_in_turn(dataset) as own:
        return _add(own, listing, rows, probes, replace_splits=replace_splits)


def _add(
    dataset: Dataset,
    listing: Listing,
    rows: list[int],
    probes: Iterable[Probe],
    *,
    replace_splits: bool,
) -> ScanReport:
    import pandas as pd

    known = dataset if dataset.exists else None
    listing = as_in_store(known, listing)
    added = _table(listing, rows, list(probes))
    videos = pd.concat([known.videos(), added]) if known else added
    class_names = listing.class_names
    number = {name: row for row, name in enumerate(videos["id"])}
    splits = [_split(name, split, listing, number) for name, split in listing.splits.items()]
    allowed = {"replace": replace_splits, "grow": True}
    changes = {split.name: split_change(dataset, split, **allowed) for split in splits}
    # First, so that a scan that is killed leaves no split with fewer classes than its dataset.
    for split in _widened(known, class_names, listing.splits):
        write_split(dataset, split, replace=True)
    # A moved dataset keeps its rows; its paths start from the new root.
    labels = _labels(listing, videos)
    anew = not labels.equals(videos["label"])
    videos = videos.assign(label=labels)
    write_videos(dataset, videos, class_names, str(listing.root), anew=anew)
    for split in splits:
        write_split(dataset, split, **allowed)
    if listing.captions:
        captions = [(number[listing.ids[row]], text) for row, text in listing.captions]
        _add_captions(dataset, captions)
    return ScanReport(
        added=len(rows),
        videos=len(videos),
        splits=tuple(changes),
        replaced=tuple(name for name, change in changes.items() if change == OTHER),
        grown=tuple(name for name, change in changes.items() if change == GROWN),
    )


def scan_new(dataset: Dataset, listing: Listing, *, append: bool = False) -> ScanReport:
    """Probe the videos of a listing that a dataset does not have, and add them with its splits.

    Raises UsageError as `require_addable` and `add_listing` do.
    """
    known = dataset if dataset.exists else None
    require_addable(known, listing, append=append)
    stored = StoredFiles(known)
    listing = stored.joined(listing)
    files = stored.new_files(listing)
    probes = probe_all(listing.files(files))
    probed = dict(zip((listing.paths[row] for row in files), probes, strict=True))
    return add_new(dataset, listing, stored, probed)


def add_new(
    dataset: Dataset,
    listing: Listing,
    stored: StoredFiles,
    probed: Mapping[str, Probe],
    *,
    replace_splits: bool = False,
) -> ScanReport:
    """Add what a dataset does not have of a listing, given the probes of new files by their paths.

    What another process has added since `stored` was read stays. Raises UsageError as `add_listing`
    does, and for a dataset that another has made meanwhile.
    """
    with tables_in_turn(dataset) as own:
        stored = stored.as_now(own)
        rows = stored.new_rows(listing)
        paths = [listing.paths[row] for row in rows]
        probes = [probed.get(path) or stored.probe(path) or Probe() for path in paths]
        return _add(own, listing, rows, probes, replace_splits=replace_splits)


def as_in_store(dataset: Dataset | None, listing: Listing) -> Listing:
    """The listing with the classes of the dataset, in its order and spelling, and its own behind.

    Raises UsageError where two of its classes are one in the dataset.
    """
    return joined(listing, dataset.class_names()) if dataset else listing


def _widened(dataset: Dataset | None, class_names: list[str], but: Collection[str]) -> list[Split]:
    """Stored splits without a list of their own that lack classes, with all of them."""
    if dataset is None:
        return []
    stored = (dataset.split(name) for name in dataset.splits() if name not in but)
    return [
        replace(split, class_names=wider)
        for split in stored
        if (wider := classes_of(split, class_names)) != split.class_names
    ]


def _labels(listing: Listing, videos: "pd.DataFrame") -> "pd.Series":
    """The label of every video: where it was known without one, that which the listing has."""
    import pandas as pd

    known = dict(zip(listing.ids, listing.labels, strict=True))
    pairs = zip(videos["id"], videos["label"], strict=True)
    labels = [label or known.get(name, "") for name, label in pairs]
    return pd.Series(labels, index=videos.index, dtype=videos["label"].dtype)


def _add_captions(dataset: Dataset, captions: list[tuple[int, str]]) -> None:
    """Add captions behind those of earlier scans; a video's own may be equal, as some lists are."""
    found = dataset.captions()
    kept = list(zip(found["row"].tolist(), found["text"], strict=True))
    known = set(kept)
    added = [caption for caption in captions if caption not in known]
    write_captions(dataset, [*kept, *added])


def _table(listing: Listing, rows: list[int], probes: list[Probe]) -> "pd.DataFrame":
    import pandas as pd

    listed: dict[str, Sequence] = {
        "id": [listing.ids[row] for row in rows],
        "path": [listing.paths[row] for row in rows],
        "label": [listing.labels[row] for row in rows],
    }
    parts = [listing.stretch(row) for row in rows]
    if not all(part.is_whole for part in parts):
        listed["start_seconds"] = [part.start for part in parts]
        listed["end_seconds"] = [np.nan if part.end is None else part.end for part in parts]
    probed = {
        name: [getattr(probe, name) for probe in probes] for name in Probe.__dataclass_fields__
    }
    return pd.DataFrame({**listed, **probed})


def _split(name: str, split: SplitListing, listing: Listing, number: dict[str, int]) -> Split:
    return Split(
        name=name,
        rows=np.array([number[listing.ids[row]] for row in split.rows], dtype=np.int64),
        labels=np.array(split.labels, dtype=np.int32),
        class_names=list(split.class_names),
        source=split.source,
        digest=split.digest,
        owns_classes=split.owns_classes,
        listed=dict(split.listed),
    )
