"""From a listing to the store: the table of videos, splits and captions of a dataset."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vifistore.errors import UsageError
from vifistore.sources.roots import Root, footage_at
from vifistore.store.dataset import Dataset, write_captions, write_videos
from vifistore.store.schema import check_name
from vifistore.store.splits import OTHER, Split, split_change, write_split
from vifistore.store.store import Store
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


def find_dataset(store: Store | None, name: str) -> Dataset | None:
    """The dataset of that name; None where it, or the store, is still to be made."""
    if store is None or name not in store.datasets():
        return None
    return store.dataset(name)


def new_rows(dataset: Dataset | None, listing: Listing, *, append: bool) -> list[int]:
    """Return the rows of the listing that the dataset does not have yet.

    Raises UsageError if the listing is empty, or the dataset exists and `append` is False, or its
    videos are not below the root of the listing.
    """
    for name in listing.splits:
        check_name("split", name)
    if not listing.ids:
        raise UsageError(
            f"no video was found below {listing.root}; give a folder that holds videos, or the "
            "right --root"
        )
    known: set[str] = set()
    if dataset is not None:
        if not append:
            raise UsageError(
                f"dataset {dataset.name} is in {dataset.store.path} already; add videos and splits "
                "to it with --append, or choose another --dataset"
            )
        videos = dataset.videos()
        _check_root(dataset.name, videos["path"], dataset.root(), listing.root)
        known = set(videos["id"])
    return [row for row, name in enumerate(listing.ids) if name not in known]


def with_stored(
    dataset: Dataset | None, listing: Listing
) -> tuple[Listing, dict[str, SplitListing]]:
    """The listing with the videos that only the dataset has behind its own, and the dataset's
    splits as positions in it."""
    if dataset is None:
        return listing, {}
    videos = dataset.videos()
    position = {name: row for row, name in enumerate(listing.ids)}
    further = videos[~videos["id"].isin(position)]
    position |= {name: len(position) + row for row, name in enumerate(further["id"])}
    position_of_row = [position[name] for name in videos["id"]]
    splits = {name: dataset.split(name) for name in dataset.splits()}
    listing = replace(
        listing,
        ids=[*listing.ids, *further["id"]],
        paths=[*listing.paths, *further["path"]],
        labels=[*listing.labels, *further["label"]],
    )
    classes = listing.class_names
    return listing, {n: _as_listed(split, position_of_row, classes) for n, split in splits.items()}


def stored_listing(dataset: Dataset) -> Listing:
    """A listing that names nothing new: what is made of it is made of what the dataset has."""
    names = dataset.class_names()
    return Listing(ids=[], paths=[], labels=[], root=dataset.root(), class_names=names)


def _as_listed(split: Split, position_of_row: list[int], of_dataset: list[str]) -> SplitListing:
    return SplitListing(
        rows=[position_of_row[row] for row in split.rows],
        labels=split.labels.tolist(),
        class_names=_classes(split, of_dataset),
        source=split.source,
        digest=split.digest,
        owns_classes=split.owns_classes,
        listed=split.listed,
    )


def _check_root(dataset: str, paths: Iterable[str], old: Root, new: Root) -> None:
    """Raise UsageError if a new root would lose videos that the dataset has.

    All its paths start from the new one, which may lie elsewhere, with some videos left out.
    """
    # What was imported has no root until its videos are scanned.
    if new == old or old == Path():
        return
    paths = list(paths)
    lost = [path for path in paths if not footage_at(new, path).exists()]
    still_there = next((path for path in lost if footage_at(old, path).exists()), "")
    if still_there or (lost and len(lost) == len(paths)):
        raise UsageError(
            f"the videos of {dataset} lie below {old}, and {len(lost)} of {len(paths)} are not "
            f"below {new} (first: {still_there or lost[0]}); give the folder that holds all of "
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
    list of their own. Raises UsageError, and writes nothing, if a split of a name that is taken
    has other rows and is not to be replaced.
    """
    import pandas as pd

    known = dataset if dataset.exists else None
    listing = as_in_store(known, listing)
    added = _table(listing, rows, list(probes))
    videos = pd.concat([known.videos(), added]) if known else added
    class_names = listing.class_names
    number = {name: row for row, name in enumerate(videos["id"])}
    splits = [_split(name, split, listing, number) for name, split in listing.splits.items()]
    changes = {split.name: split_change(dataset, split, replace=replace_splits) for split in splits}
    # First, so that a scan that is killed leaves no split with fewer classes than its dataset.
    for split in _widened(known, class_names, listing.splits):
        write_split(dataset, split, replace=True)
    # A moved dataset keeps its rows; its paths start from the new root.
    labels = _labels(listing, videos)
    anew = not labels.equals(videos["label"])
    videos = videos.assign(label=labels)
    write_videos(dataset, videos, class_names, str(listing.root), anew=anew)
    for split in splits:
        write_split(dataset, split, replace=replace_splits)
    if listing.captions:
        captions = [(number[listing.ids[row]], text) for row, text in listing.captions]
        _add_captions(dataset, captions)
    return ScanReport(
        added=len(rows),
        videos=len(videos),
        splits=tuple(changes),
        replaced=tuple(name for name, change in changes.items() if change == OTHER),
    )


def scan_new(dataset: Dataset, listing: Listing, *, append: bool = False) -> ScanReport:
    """Probe the videos of a listing that a dataset does not have, and add them with its splits.

    Raises UsageError as `new_rows` and `add_listing` do.
    """
    rows = new_rows(dataset if dataset.exists else None, listing, append=append)
    probes = probe_all(listing.files(rows))
    return add_listing(dataset, listing, rows, probes)


def as_in_store(dataset: Dataset | None, listing: Listing) -> Listing:
    """The listing with the classes of the dataset, in its order and spelling, and its own behind.

    Raises UsageError where two of its classes are one in the dataset.
    """
    return joined(listing, dataset.class_names()) if dataset else listing


def lists_of_classes(dataset: Dataset | None, listing: Listing) -> dict[str, list[str]]:
    """The classes that every labelled split is scored over after the listing was added."""
    lists = {name: split.class_names for name, split in listing.splits.items()}
    if dataset is not None:
        for name in dataset.splits():
            lists.setdefault(name, _classes(dataset.split(name), listing.class_names))
    return {name: names for name, names in lists.items() if names}


def _classes(split: Split, of_dataset: list[str]) -> list[str]:
    """The classes that a stored split is scored over where its dataset has these."""
    return split.class_names if split.owns_classes or not split.class_names else list(of_dataset)


def _widened(dataset: Dataset | None, class_names: list[str], but: Collection[str]) -> list[Split]:
    """Stored splits without a list of their own that lack classes, with all of them."""
    if dataset is None:
        return []
    stored = (dataset.split(name) for name in dataset.splits() if name not in but)
    return [
        replace(split, class_names=wider)
        for split in stored
        if (wider := _classes(split, class_names)) != split.class_names
    ]


def split_members(dataset: Dataset | None) -> dict[str, set[str]]:
    """Ids of the videos of each split that the dataset has."""
    if dataset is None:
        return {}
    ids = dataset.column("id")
    return {name: set(ids[dataset.split(name).rows]) for name in dataset.splits()}


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

    listed = {
        "id": [listing.ids[row] for row in rows],
        "path": [listing.paths[row] for row in rows],
        "label": [listing.labels[row] for row in rows],
    }
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
