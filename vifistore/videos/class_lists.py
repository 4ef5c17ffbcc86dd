"""One list of classes per dataset, however its videos are listed.

A split is scored over all classes of its dataset, also over those of which it has no video: unless
a class file of its own says which classes it is about, as for base and novel halves.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from vifistore.cleaning import class_key
from vifistore.errors import UsageError, short
from vifistore.videos.draft import Draft
from vifistore.videos.records import UNLABELLED, Listing, SplitListing


def unite(draft: Draft) -> None:
    """Give the splits of a source one list of classes, but for those with a file of their own."""
    own = [split for split in draft.splits.values() if split.owns_classes]
    others = {name for split in draft.splits.values() for name in split.class_names}
    names = every_class(draft, own, in_order({*others, *draft.labels} - {""}))
    draft.splits = {name: with_classes(split, names) for name, split in draft.splits.items()}


def every_class(draft: Draft, splits: Iterable[SplitListing], others: Iterable[str]) -> list[str]:
    """The classes of a file, then of splits (the one with most classes first), then others."""
    ordered = list(draft.class_names)
    for split in sorted(splits, key=lambda split: -len(split.class_names)):
        ordered += split.class_names
    return list(dict.fromkeys([*ordered, *others]))


def in_order(names: Iterable[str]) -> list[str]:
    """Class names sorted, as numbers where they are numbers."""
    names = list(names)
    return sorted(names, key=int if all(map(str.isdecimal, names)) else None)


def with_classes(split: SplitListing, class_names: Sequence[str]) -> SplitListing:
    """A split that is scored over other classes, unless it has its own or no labels."""
    if split.owns_classes or not split.class_names or list(class_names) == split.class_names:
        return split
    new_id = {name: id for id, name in enumerate(class_names)}
    ids = [new_id[name] for name in split.class_names]
    labels = [id if id == UNLABELLED else ids[id] for id in split.labels]
    return replace(split, labels=labels, class_names=list(class_names))


def joined(listing: Listing, known: Sequence[str]) -> Listing:
    """A listing whose classes are those of a dataset that it is added to, with new ones behind.

    `known` are the dataset's classes; whatever only spells one of them otherwise is that class.
    Raises UsageError where two classes of the listing would become one.
    """
    if not known:
        return listing
    if spelling := _spelling(listing, known):
        first, new = next(iter(spelling.items()))
        shown = f"({short(first)!r} as {short(new)!r})"
        note = f"{len(spelling):,} classes are spelled as the dataset has them {shown}"
        listing = renamed(listing, spelling, note)
    names = list(dict.fromkeys([*known, *listing.class_names]))
    splits = {name: with_classes(split, names) for name, split in listing.splits.items()}
    return replace(listing, class_names=names, splits=splits)


def _spelling(listing: Listing, known: Sequence[str]) -> dict[str, str]:
    """The classes of a listing that the dataset spells otherwise, and how."""
    exact = set(known)
    by_key: dict[str, list[str]] = {}
    for name in known:
        by_key.setdefault(class_key(name), []).append(name)
    found = {
        name: candidates[0]
        for name in listing.class_names
        if name not in exact and len(candidates := by_key.get(class_key(name), [])) == 1
    }
    taken = {name: name for name in listing.class_names if name in exact}
    for name, new in found.items():
        if taken.setdefault(new, name) != name:
            raise UsageError(
                f"classes {short(taken[new])!r} and {short(name)!r} are both {short(new)!r} in the "
                "dataset; rename one, or scan them as another --dataset"
            )
    return found


def renamed(listing: Listing, new_names: Mapping[str, str], note: str) -> Listing:
    """A listing with other names of its classes, those without a new one as they are; noted."""

    def new(names: Iterable[str]) -> list[str]:
        return [new_names.get(name, name) for name in names]

    splits = {
        name: replace(
            split,
            class_names=new(split.class_names),
            listed=dict(zip(new(split.listed), split.listed.values(), strict=True)),
        )
        for name, split in listing.splits.items()
    }
    return replace(
        listing,
        labels=new(listing.labels),
        class_names=new(listing.class_names),
        splits=splits,
        notes=[*listing.notes, note],
    )
