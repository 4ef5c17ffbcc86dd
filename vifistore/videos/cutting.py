"""Long videos of a listing in parts, each a video of its own with the label of its file.

Labels, captions and places in splits carry over to every part, so that each part counts as one
video wherever videos are counted.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vifistore.errors import UsageError
from vifistore.videos.records import UNLABELLED, Listing, SplitListing
from vifistore.videos.stretches import MOST_PARTS, WHOLE, Stretch, Windows
from vifistore.videos.text_lines import some

Part = tuple[str, Stretch]
"""Id of a video, and which part of its file it is."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A listing in parts, and what is to be told of it."""

    listing: Listing
    notes: list[str] = field(default_factory=list)
    """What was done."""
    warnings: list[str] = field(default_factory=list)
    """What could not be done."""


def cut_videos(
    listing: Listing, windows: Windows, rows: Collection[int], seconds: Mapping[str, float]
) -> Cut:
    """Cut some rows of a listing, given how long files are by their paths, 0 where it is not known.

    One whose length is not known, or that would be more than MOST_PARTS, stays as it is.
    """
    parts, unknown, endless = {}, [], []
    for row in rows:
        path, stretch = listing.paths[row], listing.stretch(row)
        length = seconds.get(path) or stretch.end or 0.0
        found = windows.cut(stretch, length) if length else [stretch]
        if not length:
            unknown.append(path)
        elif found is None:
            endless.append(path)
        elif len(found) > 1:
            parts[row] = _named(listing, row, found)
    counted = f"{len(parts):,} of {len(rows):,} videos are cut into"
    notes = [f"{counted} {sum(map(len, parts.values())):,} stretches"] if parts else []
    warnings = []
    if unknown:
        told = "videos do not tell how long they are, and stay whole"
        warnings.append(f"{len(unknown):,} of {len(rows):,} {told}: {some(unknown)}")
    if endless:
        told = f"videos would be more than {MOST_PARTS:,} stretches each, and stay whole"
        warnings.append(f"{len(endless):,} {told}: {some(endless)}; give a longer --window")
    return Cut(listing=in_parts(listing, parts), notes=notes, warnings=warnings)


def _named(listing: Listing, row: int, stretches: Sequence[Stretch]) -> list[Part]:
    """Parts of a video, called by its id."""
    base = listing.video(row)
    return [(base + stretch.suffix, stretch) for stretch in stretches]


def in_parts(listing: Listing, parts: Mapping[int, Sequence[Part]]) -> Listing:
    """A listing with some rows replaced by parts of their files, as many as there are.

    Parts that come twice are one. Raises UsageError where such have two labels in one split, and
    where two videos would have one id.
    """
    if not parts:
        return listing
    row_of: dict[str, int] = {}
    old_rows: list[int] = []
    stretches: dict[int, Stretch] = {}
    new_rows: list[list[int]] = []
    for row, name in enumerate(listing.ids):
        members = []
        for id, stretch in parts.get(row, [(name, listing.stretch(row))]):
            new = row_of.setdefault(id, len(row_of))
            members.append(new)
            if new == len(old_rows):
                old_rows.append(row)
                if not stretch.is_whole:
                    stretches[new] = stretch
            elif (listing.paths[old_rows[new]], stretches.get(new, WHOLE)) != (
                listing.paths[row],
                stretch,
            ):
                raise UsageError(f"several videos have the id {id!r}; give each its own")
        new_rows.append(members)
    return replace(
        listing,
        ids=list(row_of),
        paths=[listing.paths[row] for row in old_rows],
        labels=[listing.labels[row] for row in old_rows],
        splits={
            name: _split_in_parts(name, split, listing, new_rows)
            for name, split in listing.splits.items()
        },
        captions=[(new, text) for row, text in listing.captions for new in new_rows[row]],
        stretches=stretches,
    )


def _split_in_parts(
    name: str, split: SplitListing, listing: Listing, new_rows: Sequence[Sequence[int]]
) -> SplitListing:
    label_of: dict[int, int] = {}
    for row, label in zip(split.rows, split.labels, strict=True):
        for new in new_rows[row]:
            if label_of.setdefault(new, label) != label:
                raise UsageError(
                    f"split {name}: {listing.ids[row]} is the same part of its file as another "
                    "listed video and has another label; keep one of them"
                )
    labels = list(label_of.values())
    return replace(split, rows=list(label_of), labels=labels, listed=_more_listed(split, labels))


def _more_listed(split: SplitListing, labels: Sequence[int]) -> dict[str, int]:
    """How many videos of each class a list names where each that is there is its parts."""
    if not split.listed:
        return {}
    before, after = Counter(split.labels), Counter(labels)
    return {
        name: split.listed[name] + after[label] - before[label]
        for label, name in [*enumerate(split.class_names), (UNLABELLED, "")]
        if name in split.listed
    }
