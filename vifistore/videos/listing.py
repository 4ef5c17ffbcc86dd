"""From a source to a listing: which videos there are, under which labels, in which splits."""

import os
import shlex
from collections.abc import Container, Sequence
from functools import partial
from pathlib import Path

from vifistore.cleaning import AS_IS, cleaned, cleaning, in_words
from vifistore.errors import UnknownNameError, UsageError, short
from vifistore.sources.remote_root import RemoteRoot
from vifistore.sources.roots import Root, root_of
from vifistore.videos.class_lists import renamed, unite
from vifistore.videos.detect import Format, detect
from vifistore.videos.draft import Draft
from vifistore.videos.known import KnownVideos
from vifistore.videos.line_paths import Prefixes, parse_prefixes
from vifistore.videos.readers.folder import read_folder
from vifistore.videos.readers.shards import read_shards
from vifistore.videos.records import Listing
from vifistore.videos.remote_tree import tree_of
from vifistore.videos.resolve import resolve
from vifistore.videos.shard_names import shard_source
from vifistore.videos.split_by import split_by as part_by
from vifistore.videos.split_by import split_folders


def read_source(
    source: Path | RemoteRoot,
    *,
    root: Path | RemoteRoot | None = None,
    split: str | None = None,
    labels: Path | None = None,
    names: str = "as-is",
    map_prefix: Sequence[str] = (),
    follow_links: bool = False,
    split_by: str = "",
    whole: bool = False,
    known: KnownVideos | None = None,
    scanned: Container[str] = (),
) -> Listing:
    """The videos of a folder, a table, a list or a dataset's own files.

    `root` is the folder, or the place of a server, that listed paths start from: by default SOURCE,
    or the folder of the list, of which then only the folders that the list names are searched.
    `split` names the one split of a folder or list, or picks one of several; a list's own name is
    its default, and a folder has no split without one. `labels` is a class file, and `names` a
    cleaning of class names (`vifistore.cleaning.CLEANINGS`). `map_prefix` are texts `OLD=NEW`: what
    listed paths begin with on another machine, and the folder that it is here. `follow_links`
    follows symbolic links, also out of the root. `split_by` is a regular expression that parts the
    videos by their paths (`vifistore.videos.split_by`). `whole` takes videos whole where a list
    gives times of their parts. `known` videos, which are whole, stand for those on the disk,
    where the source is a table or a list. A web server is not asked for `scanned` paths.
    Raises UsageError for whatever cannot be read, with file and line.
    """
    packed = None if isinstance(source, RemoteRoot) else shard_source(source)
    source = packed.folder if packed else root_of(source)
    cleaning(names)
    prefixes = parse_prefixes(map_prefix)
    if packed:
        read = partial(read_shards, patterns=packed.patterns)
        seen, is_folder = Format(read, "videos in shards"), True
    else:
        seen = detect(source, follow_links=follow_links)
        is_folder = seen.read is read_folder
    if known is not None and is_folder:
        raise UsageError(f"{source} is a folder of videos; name a table or a list of them")
    tree = known or tree_of(
        _root(source, root, prefixes), follow_links=follow_links, scanned=scanned
    )
    searches_all = bool(root or map_prefix or known)
    draft = Draft(tree=tree, prefixes=prefixes, searches_all=searches_all)
    draft.takes_times = known is None and not whole
    seen.read(source, draft, labels)
    unite(draft)
    # Of `.`, which also shards of this folder lie in, the name is empty.
    name = source.name or os.path.basename(os.path.abspath(str(source)))
    draft.notes.insert(0, f"read {name} as {seen.why}")
    return _cleaned(resolve(_split(draft, split, split_by, is_folder)), names)


def _root(source: Root, root: Root | None, prefixes: Prefixes) -> Root:
    """The given root, else where prefixes lead to, else SOURCE or the folder of the list."""
    place = root_of(source if root is None else root)
    if isinstance(place, RemoteRoot):
        return place
    assert isinstance(source, Path), "what lies on a server has a root there"
    default = source if source.is_dir() else source.parent
    folders = [new for _, new in prefixes]
    if root is None and folders and all(map(os.path.isabs, folders)):
        root = Path(os.path.commonpath(folders))
    return Path(os.path.abspath(default if root is None else str(root)))


def _split(draft: Draft, name: str | None, pattern: str, is_folder: bool) -> Draft:
    """The draft with the splits that are asked for."""
    if pattern:
        part_by(draft, pattern)
    if name is not None:
        return _with_split(draft, name)
    if is_folder and not pattern:
        # A folder lists nothing: without a name it makes no split, and may grow freely.
        draft.splits = {}
        if found := split_folders(draft.paths):
            option = f"--split-by {shlex.quote(found)}"
            draft.notes.append(f"folders are called like splits; {option} makes them so")
    return draft


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
    if names == AS_IS:
        note += _in_words_told(listing.class_names)
    return renamed(listing, new, note) if listing.class_names else listing


def _in_words_told(class_names: Sequence[str]) -> str:
    """What to do about names that a text tower would read as one odd word."""
    odd = [name for name in class_names if in_words(name) != name]
    if not odd:
        return ""
    become = f"{short(odd[0])} {short(in_words(odd[0]))}"
    return f"; --names words makes words of {len(odd):,} of them, of {become}"
