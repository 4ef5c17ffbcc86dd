"""From a source to a listing: which videos there are, under which labels, in which splits."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from vifistore.errors import UnknownNameError
from vifistore.videos.class_names import cleaned, cleaning
from vifistore.videos.detect import FOLDER_OF_LISTS, detect
from vifistore.videos.draft import Draft
from vifistore.videos.readers.captions import read_captions_json, read_captions_table
from vifistore.videos.readers.folder import read_folder
from vifistore.videos.readers.hmdb51 import read_hmdb51
from vifistore.videos.readers.kinetics import read_kinetics
from vifistore.videos.readers.lists import lists_in, read_list
from vifistore.videos.readers.ssv2 import read_ssv2
from vifistore.videos.readers.table import read_table
from vifistore.videos.readers.ucf101 import read_ucf101
from vifistore.videos.records import Listing, SplitListing
from vifistore.videos.resolve import resolve
from vifistore.videos.tree import Tree

READERS: dict[str, Callable[[Path, Draft, Path | None], None]] = {
    "folder": read_folder,
    "table": read_table,
    "list": read_list,
    "ucf101": read_ucf101,
    "hmdb51": read_hmdb51,
    "kinetics": read_kinetics,
    "ssv2": read_ssv2,
    "captions_json": read_captions_json,
    "captions_table": read_captions_table,
}


def read_source(
    source: Path,
    *,
    root: Path | None = None,
    split: str | None = None,
    labels: Path | None = None,
    names: str = "as-is",
) -> Listing:
    """The videos of a folder, a table, a list or a dataset's own files.

    `root` is the folder that listed paths start from: by default SOURCE, or the folder of the
    list. `split` names the one split of a folder or list, or picks one of several; a list's own
    name is its default, and a folder has no split without one. `labels` is a class file, and
    `names` a cleaning of class names (`vifistore.videos.class_names.CLEANINGS`).
    Raises UsageError for whatever cannot be read, with file and line.
    """
    source = Path(source)
    cleaning(names)
    seen = detect(source)
    draft = Draft(tree=Tree(root=_root(source, root)))
    if seen.format == FOLDER_OF_LISTS:
        for path in lists_in(source):
            READERS[detect(path).format](path, draft, labels)
        draft.names_splits = True
    else:
        READERS[seen.format](source, draft, labels)
    draft.notes.insert(0, f"read {source.name} as {seen.why}")
    if split is not None:
        draft = _with_split(draft, split)
    elif seen.format == "folder":
        # A folder lists nothing: without a name it makes no split, and may grow freely.
        draft.splits = {}
    return _cleaned(resolve(draft), names)


def _root(source: Path, root: Path | None) -> Path:
    default = source if source.is_dir() else source.parent
    return Path(os.path.abspath(default if root is None else root))


def _with_split(draft: Draft, name: str) -> Draft:
    """The draft with one split: renamed where the source has no name for it, else picked."""
    if len(draft.splits) == 1 and not draft.names_splits:
        draft.splits = {name: next(iter(draft.splits.values()))}
        return draft
    if name not in draft.splits:
        raise UnknownNameError("split", name, draft.splits)
    return draft.only(name)


def _cleaned(listing: Listing, names: str) -> Listing:
    """The listing with its class names cleaned, and a note of how."""
    splits = listing.splits.values()
    every = [*listing.class_names, *(name for split in splits for name in split.class_names)]
    new = cleaned(every, names)
    changed = sum(name != new[name] for name in listing.class_names)
    note = f"class names are read {names}" + (f": {changed:,} changed" if changed else "")
    return replace(
        listing,
        labels=[new.get(label, label) for label in listing.labels],
        class_names=[new[name] for name in listing.class_names],
        splits={name: _renamed(split, new) for name, split in listing.splits.items()},
        notes=[*listing.notes, *([note] if listing.class_names else [])],
    )


def _renamed(split: SplitListing, new: dict[str, str]) -> SplitListing:
    return replace(
        split,
        class_names=[new[name] for name in split.class_names],
        listed={new[name]: count for name, count in split.listed.items()},
    )
