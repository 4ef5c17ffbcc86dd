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
    ordered = list(draft.class_names)
    for split in sorted(own, key=lambda split: -len(split.class_names)):
        ordered += split.class_names
    others = {name for split in draft.splits.values() for name in split.class_names}
    names = list(dict.fromkeys([*ordered, *in_order({*others, *draft.labels} - {""})]))
    draft.splits = {name: with_classes(split, names) for name, split in draft.splits.items()}


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
    spelling = _spelling(listing, known)
    listing = _respelled(listing, spelling)
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


def _respelled(listing: Listing, spelling: Mapping[str, str]) -> Listing:
    if not spelling:
        return listing
    first, new = next(iter(spelling.items()))
    note = (
        f"{len(spelling):,} classes are spelled as the dataset has them ({short(first)!r} as "
        f"{short(new)!r})"
    )
    names = [spelling.get(name, name) for name in listing.class_names]
    splits = {
        name: replace(
            split,
            class_names=[spelling.get(c, c) for c in split.class_names],
            listed={spelling.get(c, c): count for c, count in split.listed.items()},
        )
        for name, split in listing.splits.items()
    }
    labels = [spelling.get(label, label) for label in listing.labels]
    notes = [*listing.notes, note]
    return replace(listing, class_names=names, labels=labels, splits=splits, notes=notes)
