"""Where the videos of a dataset are by now: found below a new root by their names and sizes.

Ids stay as they are, whatever the paths become. What a file holds is trusted as far as its size
says; an extraction compares dates and digests, as it always does.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

from vifistore.errors import DecodeError, UsageError
from vifistore.frames.digests import content_digest
from vifistore.scanning.changes import digests_read, sealed_sets
from vifistore.scanning.presence import MISSING
from vifistore.sources.remote_root import RemoteRoot
from vifistore.sources.roots import Root, footage_at
from vifistore.store.dataset import Dataset, write_videos
from vifistore.store.table_turn import tables_in_turn
from vifistore.videos.folders import Folders
from vifistore.videos.remote_tree import tree_of
from vifistore.videos.stretches import stretch_of
from vifistore.videos.text_lines import some

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Relocation:
    """What was found below a new root."""

    root: Root
    """Where they are, an absolute folder."""
    paths: list[str]
    """Path of each video relative to it; the old one where it was not found."""
    old_paths: list[str]
    """Path of each video when it was looked for."""
    found: int
    """Videos found."""
    moved: int
    """Those whose path below the root is another than before."""
    lost: list[str]
    """Ids of videos that were not found."""
    resized: list[str]
    """Ids of those of them that have a file of their name, but of another size."""


def find_videos(dataset: Dataset, root: Root) -> Relocation:
    """Look for every video of a dataset below `root`.

    Raises UsageError where a video could be several files, where fewer than half are found, and
    where one is lost that is still where it was.
    """
    videos = dataset.videos()
    root = root if isinstance(root, RemoteRoot) else Path(os.path.abspath(root))
    search = _Search(dataset, tree_of(root))
    files = _files(search, dataset, videos)
    _refuse_doubtful(search.doubtful, files, videos)
    lost = [i for i, file in zip(videos["id"], files, strict=True) if not file]
    if 2 * len(lost) > len(files):
        resized = f", {len(search.resized)} with another size" if search.resized else ""
        raise UsageError(
            f"{len(lost)} of {len(files)} videos of {dataset.name} are not below {root} (first: "
            f"{lost[0]}{resized}); give the folder that holds them with --root"
        )
    old = dataset.root()
    pairs = list(zip(videos["path"], files, strict=True))
    left = [
        path for path, file in pairs if not file and old != root and footage_at(old, path).exists()
    ]
    if left:
        raise UsageError(
            f"{len(left)} videos of {dataset.name} are still below {old} and not below {root} "
            f"(first: {left[0]}); give a folder that holds all of them"
        )
    return Relocation(
        root=root,
        paths=[file or path for path, file in pairs],
        old_paths=videos["path"].tolist(),
        found=len(files) - len(lost),
        moved=sum(bool(file) and file != path for path, file in pairs),
        lost=lost,
        resized=search.resized,
    )


def _files(search: "_Search", dataset: Dataset, videos: "pd.DataFrame") -> list[str]:
    """The file of every row, those that are stretches of one file having one."""
    starts, ends = dataset.stretches()
    columns = (videos[name] for name in ("id", "path", "size_bytes"))
    found: dict[tuple[str, str], str] = {}
    files = []
    for row, (name, path, size) in enumerate(zip(*columns, strict=True)):
        name = name.removesuffix(stretch_of(starts[row], ends[row]).suffix)
        if (name, path) not in found:
            found[name, path] = search.find(row, name, path, size)
        files.append(found[name, path])
    return files


def relocate(dataset: Dataset, found: Relocation) -> None:
    """Let the dataset's videos be those that were found. A kill between its files leaves paths that
    are looked for in the same way again.

    Raises UsageError where videos came or moved since they were looked for.
    """
    with tables_in_turn(dataset) as own:
        videos = own.videos()
        if videos["path"].tolist() != found.old_paths:
            raise UsageError(
                f"another process has changed the videos of {dataset.name} meanwhile; run the same "
                "command again"
            )
        moved = videos.assign(path=found.paths)
        write_videos(own, moved, own.class_names(), str(found.root), anew=True)


def missing_before(dataset: Dataset) -> dict[str, int]:
    """Feature sets by id, and how many videos each has quarantined because they were missing."""
    counts = {}
    for feature_id in dataset.feature_ids():
        features = dataset.features(feature_id)
        if not features.parent:
            reasons = Counter(entry["reason"] for entry in features.quarantine())
            counts[feature_id] = reasons[MISSING]
    return {feature_id: count for feature_id, count in counts.items() if count}


class _Search:
    """The files below a root, by name."""

    def __init__(self, dataset: Dataset, tree: Folders) -> None:
        self._root = tree.root
        self._files = defaultdict(list)
        # Who does not tell what he has is asked for what is known.
        known = dataset.column("path").tolist()
        is_told = isinstance(tree.root, Path) or tree.root.can_list
        here = _here(tree, known) if is_told else list(compress(known, tree.hold(known)))
        for path in here:
            self._files[_name(path)].append(path)
        self._sealed = sealed_sets(dataset)
        self.doubtful: dict[str, list[str]] = {}
        """Ids of videos that could be several files."""
        self.resized: list[str] = []
        """Ids of videos whose files have another size."""

    def find(self, row: int, name: str, path: str, size: int) -> str:
        """The file of a video relative to the root; "" for none, or for several that fit."""
        named = dict.fromkeys([*self._files[_name(path)], *self._files[_name(name)]])
        fitting = [file for file in named if self._has_size(file, size)]
        if named and not fitting:
            self.resized.append(name)
        for tell in (lambda file: _tail(file, path), lambda file: _tail(file, name)):
            if len(fitting) > 1:
                best = max(map(tell, fitting))
                fitting = [file for file in fitting if tell(file) == best]
        if len(fitting) > 1:
            fitting = self._of_digest(fitting, row)
        if len(fitting) > 1:
            self.doubtful[name] = fitting
            return ""
        return fitting[0] if fitting else ""

    def _has_size(self, file: str, size: int) -> bool:
        # What was imported has no size.
        return not size or footage_at(self._root, file).stamp().size_bytes == size

    def _of_digest(self, files: list[str], row: int) -> list[str]:
        """The first of the files whose content was read for this row before; all if none was."""
        known = digests_read(self._sealed, row)
        return next(([file] for file in files if self._digest(file) in known), files)

    def _digest(self, file: str) -> str:
        try:
            return content_digest(footage_at(self._root, file))
        except (OSError, DecodeError):
            return ""


def _here(tree: Folders, known: Sequence[str]) -> list[str]:
    """What lies below a root; in shards, where the dataset's videos do."""
    here = tree.videos()
    if any(".tar/" in path.lower() for path in known):
        shards = tree.shards()
        for shard, index in zip(shards, tree.indexes(shards), strict=True):
            here += [f"{shard}/{name}" for name in index.members]
    return here


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _tail(file: str, path: str) -> int:
    """How many last parts of two paths are the same."""
    pairs = zip(reversed(file.split("/")), reversed(path.split("/")), strict=False)
    count = 0
    for one, other in pairs:
        if one != other:
            break
        count += 1
    return count


def _refuse_doubtful(
    doubtful: dict[str, list[str]], files: Sequence[str], videos: "pd.DataFrame"
) -> None:
    """Raise UsageError where a video could be several files, or a file several videos."""
    if doubtful:
        first, fitting = next(iter(doubtful.items()))
        raise UsageError(
            f"{len(doubtful)} videos could be several files (first: {first}: {some(fitting, 2)}); "
            "give a folder that holds each once with --root"
        )
    pairs = set(zip(files, videos["path"], strict=True))
    counts = Counter(file for file, _ in pairs if file)
    shared = sorted(file for file, count in counts.items() if count > 1)
    if shared:
        ids = [i for i, file in zip(videos["id"], files, strict=True) if file == shared[0]]
        raise UsageError(
            f"{len(shared)} files could be several videos (first: {shared[0]}: {some(ids, 2)}); "
            "give a folder that holds all of them with --root"
        )
