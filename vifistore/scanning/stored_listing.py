"""What a dataset has, in the form of a listing that a source is held against."""

from dataclasses import replace
from typing import TYPE_CHECKING

from vifistore.store.dataset import Dataset
from vifistore.store.schema import STRETCH_COLUMNS
from vifistore.store.splits import Split
from vifistore.videos.records import Listing, SplitListing
from vifistore.videos.stretches import Stretch, stretch_of

if TYPE_CHECKING:
    import pandas as pd


def with_stored(
    dataset: Dataset | None, listing: Listing
) -> tuple[Listing, dict[str, SplitListing]]:
    """The listing with the videos that only the dataset has behind its own, and the dataset's
    splits as positions in it."""
    if dataset is None:
        return listing, {}
    videos = dataset.videos()
    position = {name: row for row, name in enumerate(listing.ids)}
    further = videos.loc[~videos["id"].isin(position)]
    position |= {name: len(position) + row for row, name in enumerate(further["id"])}
    position_of_row = [position[name] for name in videos["id"]]
    splits = {name: dataset.split(name) for name in dataset.splits()}
    listing = replace(
        listing,
        ids=[*listing.ids, *further["id"]],
        paths=[*listing.paths, *further["path"]],
        labels=[*listing.labels, *further["label"]],
        stretches=listing.stretches | _stretches_of(further, len(listing.ids)),
    )
    classes = listing.class_names
    return listing, {n: _as_listed(split, position_of_row, classes) for n, split in splits.items()}


def _stretches_of(videos: "pd.DataFrame", first: int) -> dict[int, Stretch]:
    """The parts of files among stored videos, which are listed from a position on."""
    if STRETCH_COLUMNS.keys().isdisjoint(videos):
        return {}
    times = zip(*(videos[name].tolist() for name in STRETCH_COLUMNS), strict=True)
    found = (stretch_of(start, end) for start, end in times)
    return {first + i: stretch for i, stretch in enumerate(found) if not stretch.is_whole}


def stored_listing(dataset: Dataset) -> Listing:
    """A listing that names nothing new: what is made of it is made of what the dataset has."""
    names = dataset.class_names()
    return Listing(ids=[], paths=[], labels=[], root=dataset.root(), class_names=names)


def _as_listed(split: Split, position_of_row: list[int], of_dataset: list[str]) -> SplitListing:
    return SplitListing(
        rows=[position_of_row[row] for row in split.rows],
        labels=split.labels.tolist(),
        class_names=classes_of(split, of_dataset),
        source=split.source,
        digest=split.digest,
        owns_classes=split.owns_classes,
        listed=split.listed,
    )


def split_members(dataset: Dataset | None) -> dict[str, set[str]]:
    """Ids of the videos of each split that the dataset has."""
    if dataset is None:
        return {}
    ids = dataset.column("id")
    return {name: set(ids[dataset.split(name).rows]) for name in dataset.splits()}


def lists_of_classes(dataset: Dataset | None, listing: Listing) -> dict[str, list[str]]:
    """The classes that every labelled split is scored over after the listing was added."""
    lists = {name: split.class_names for name, split in listing.splits.items()}
    if dataset is not None:
        for name in dataset.splits():
            lists.setdefault(name, classes_of(dataset.split(name), listing.class_names))
    return {name: names for name, names in lists.items() if names}


def classes_of(split: Split, of_dataset: list[str]) -> list[str]:
    """The classes that a stored split is scored over where its dataset has these."""
    return split.class_names if split.owns_classes or not split.class_names else list(of_dataset)
