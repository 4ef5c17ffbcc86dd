"""From a draft to a listing: what is listed against what is on the disk."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from vifistore.errors import UsageError, short
from vifistore.videos.class_lists import every_class
from vifistore.videos.draft import Draft
from vifistore.videos.known import KnownVideos
from vifistore.videos.listed_times import named_stretch
from vifistore.videos.match import match_paths
from vifistore.videos.records import UNLABELLED, Listing, SplitListing
from vifistore.videos.stretches import WHOLE, Stretch
from vifistore.videos.text_lines import some


def resolve(draft: Draft) -> Listing:
    """The videos that exist, renumbered; a file that is listed under two paths is one video.

    Raises UsageError where nothing is listed or found, and where two videos share an id.
    """
    if not draft.paths:
        raise UsageError("the source lists no video; name a folder, list or table that does")
    classes = {*draft.labels, *draft.class_names} - {""}
    folders = None if draft.searches_all else classes
    files, notes = match_paths(draft.paths, draft.matches, draft.tree, folders=folders)
    missing = [path for path, file in zip(draft.paths, files, strict=True) if not file]
    if len(missing) == len(files):
        _refuse(draft, missing[0])
    row_of: dict[tuple[str, Stretch], int] = {}
    parts = [(file, _stretch(draft, row, file)) for row, file in enumerate(files)]
    new_rows = [row_of.setdefault(part, len(row_of)) if part[0] else -1 for part in parts]
    notes += _notes(draft, missing)
    splits, remark = _renumbered(draft, new_rows)
    notes += remark
    labels = _first_of(draft.labels, new_rows, len(row_of))
    return Listing(
        ids=_ids(draft, new_rows, list(row_of)),
        paths=[file for file, _ in row_of],
        labels=labels,
        root=draft.tree.root,
        class_names=every_class(draft, splits.values(), sorted(set(labels) - {""})),
        splits=splits,
        captions=[(new_rows[row], text) for row, text in draft.captions if new_rows[row] >= 0],
        missing=missing,
        notes=list(dict.fromkeys([*draft.notes, *notes, *draft.tree.notes()])),
        stretches={row: part for (_, part), row in row_of.items() if not part.is_whole},
    )


def _stretch(draft: Draft, row: int, file: str) -> Stretch:
    """Which part of the file that was found a video is."""
    may_be_named = draft.matches[row] in ("youtube", "clip")
    if not (draft.takes_times and file and (row in draft.stretches or may_be_named)):
        return WHOLE
    listed = draft.stretches.get(row, WHOLE)
    return named_stretch(draft.paths[row], file, listed, draft.matches[row])


def _refuse(draft: Draft, path: str) -> None:
    """Raise UsageError: nothing is there. It names the first path and what was tried."""
    root, first = draft.tree.root, draft.listed.get(path, path)
    if isinstance(draft.tree, KnownVideos):
        assert draft.tree.ids is not None, "without ids every listed video is one"
        raise UsageError(
            f"the table names none of the videos (first: {short(first)}, and theirs is "
            f"{short(min(draft.tree.ids))}); write their ids into its column `id`"
        )
    tried = f", tried as {short(path)}" if path != first else ""
    if link := draft.tree.link_on(path):
        remedy = f"{short(link, 40)} is a link that was not followed; add --follow-links"
    elif file := draft.tree.file_on(path):
        remedy = f"{short(file, 40)} is a file and no folder, as links are where they were copied "
        remedy += "as text; link the folder again"
    elif draft.searches_all:
        remedy = "give the folder of the videos with --root, or say what paths begin with: "
        remedy += "--map-prefix OLD=NEW"
    else:
        remedy = "give the folder of the videos with --root: without it, only the folder of the "
        remedy += "list is searched, and in it the folders that the list names"
    raise UsageError(
        f"none of the {len(draft.paths):,} listed videos is below {short(str(root))} "
        f"(first: {short(first)}{tried}); {remedy}"
    )


def _notes(draft: Draft, missing: list[str]) -> list[str]:
    notes = []
    if missing:
        count = f"{len(missing):,} of {len(draft.paths):,}"
        notes.append(f"{count} listed videos are missing: {some(missing)}")
        blocked = dict.fromkeys(filter(None, map(draft.tree.link_on, missing)))
        if blocked:
            remark = "are links that were not followed; add --follow-links"
            notes.append(f"{some(blocked)} {remark}")
    if draft.relabelled:
        videos = some(draft.paths[row] for row in draft.relabelled)
        remark = "have other labels in other splits and keep their first as their own"
        notes.append(f"{len(draft.relabelled):,} videos {remark}: {videos}")
    return notes


def _renumbered(draft: Draft, new_rows: Sequence[int]) -> tuple[dict[str, SplitListing], list[str]]:
    """The splits of what exists; one of which nothing does is left out."""
    splits, notes = {}, []
    for name, split in draft.splits.items():
        label_of: dict[int, int] = {}
        for row, label in zip(split.rows, split.labels, strict=True):
            new = new_rows[row]
            if new >= 0 and label_of.setdefault(new, label) != label:
                remark = "is the file of another listed video and has another label"
                raise UsageError(f"split {name}: {draft.paths[row]} {remark}; keep one of them")
        lost = sum(new_rows[row] < 0 for row in split.rows)
        twice = len(split.rows) - lost - len(label_of)
        if twice:
            notes.append(f"split {name}: {twice:,} videos share their file with another")
        if lost:
            left_out = "" if label_of else ", so it is left out"
            count = f"{lost:,} of {len(split.rows):,}"
            notes.append(f"split {name}: {count} videos are missing{left_out}")
        if label_of:
            rows, labels = list(label_of), list(label_of.values())
            listed = _listed(split, labels, new_rows) if lost else {}
            splits[name] = replace(split, rows=rows, labels=labels, listed=listed)
    return splits, notes


def _listed(split: SplitListing, labels: Sequence[int], new_rows: Sequence[int]) -> dict[str, int]:
    """How many videos of each class a list names, and of none (""): those found, and those that are
    missing."""
    pairs = zip(split.rows, split.labels, strict=True)
    counts = Counter([*labels, *(label for row, label in pairs if new_rows[row] < 0)])
    classes = [*enumerate(split.class_names), (UNLABELLED, "")]
    return {name: counts[label] for label, name in classes if counts[label]}


def _first_of(values: Sequence[str], new_rows: Sequence[int], count: int) -> list[str]:
    first = [""] * count
    for value, row in zip(values, new_rows, strict=True):
        if row >= 0 and not first[row]:
            first[row] = value
    return first


def _ids(draft: Draft, new_rows: Sequence[int], parts: Sequence[tuple[str, Stretch]]) -> list[str]:
    """Ids as they are given, else paths with the suffix of the stretch, which parts of a file also
    have behind an id that they share."""
    given = _first_of(
        [draft.ids.get(row, "") for row in range(len(new_rows))], new_rows, len(parts)
    )
    counts = Counter(given)
    ids = [
        (id or file) + (stretch.suffix if counts[id] > 1 or not id else "")
        for id, (file, stretch) in zip(given, parts, strict=True)
    ]
    if len(set(ids)) < len(ids):
        seen: set[str] = set()
        repeated = [id for id in ids if id in seen or seen.add(id)]
        raise UsageError(f"several videos have the id {some(repeated)}; give each its own")
    return ids
