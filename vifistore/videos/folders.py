"""What lies below a root, each folder listed once and no file asked about by itself."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from vifistore.errors import StoreError, UsageError
from vifistore.sources.asking import NetworkError
from vifistore.sources.extensions import is_frame, is_video
from vifistore.sources.kept_shards import told_index
from vifistore.sources.roots import Root, footage_at
from vifistore.sources.shard_index import ShardIndex, is_shard
from vifistore.videos.text_lines import some

# Control characters, and the half characters that stand for bytes which are not UTF-8.
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

_THREADS = 8

AnyRoot = TypeVar("AnyRoot", bound=Root)


@dataclass(frozen=True, kw_only=True)
class Folder:
    """What one folder holds, by name."""

    files: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()

    @property
    def holds_frames(self) -> bool:
        """True where it is one video stored as images: images and nothing else."""
        return bool(self.files) and not self.folders and all(map(is_frame, self.files))


@dataclass(kw_only=True)
class Folders(ABC, Generic[AnyRoot]):
    """The folders below `root` as far as they were asked for."""

    root: AnyRoot
    left_out: dict[str, list[str]] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)
    """Links that were not followed, for nobody asked for it."""
    real_root: str = ""
    """The root without links."""
    _folders: dict[str, Folder] = field(default_factory=dict)
    _indexes: dict[str, ShardIndex] = field(default_factory=dict)

    @abstractmethod
    def _list_below(self, above: str, path: str) -> Folder:
        """List the folder at a path, which lies in that at `above`."""

    def folder(self, path: str) -> Folder:
        """The folder at a relative path; an empty one where there is none below the root."""
        listed = self._folders.get(path)
        if listed is not None:
            return listed
        # From the root down, so that a path never passes through a link that is not followed.
        here, prefix = self._folders[""], ""
        for part in path.split("/"):
            is_packed = part not in here.folders and is_shard(part) and self._may_hold(here, part)
            if part not in here.folders and not is_packed:
                return Folder()
            above, prefix = prefix, f"{prefix}/{part}" if prefix else part
            if is_packed:
                self._unfold(prefix)
            elif prefix not in self._folders:
                self._folders[prefix] = self._list_below(above, prefix)
            here = self._folders[prefix]
        return here

    def holds(self, path: str) -> bool:
        """True where `path` is a file, or a folder of frames."""
        parent, _, name = path.rpartition("/")
        folder = self.folder(parent)
        if name in folder.files:
            return True
        return name in folder.folders and self.folder(path).holds_frames

    def videos(self, below: str = "") -> list[str]:
        """Every video below a folder, sorted: video files, and folders of frames."""
        listed: list[str] = []
        for path, folder in self._walk(below):
            prefix = f"{path}/" if path else ""
            if folder.holds_frames and path != below:
                listed.append(path)
                continue
            if any(map(is_frame, folder.files)):
                self._leave_out("folders hold images beside other things", path or ".")
            listed.extend(prefix + name for name in folder.files if is_video(name))
        return sorted(listed)

    def shards(self, below: str = "") -> list[str]:
        """Every shard below a folder, sorted."""
        return sorted(
            f"{path}/{name}" if path else name
            for path, folder in self._walk(below)
            for name in folder.files
            if is_shard(name)
        )

    def indexes(self, shards: Sequence[str]) -> list[ShardIndex]:
        """What lies in shards, with what small files tell there of videos, read at once.

        Raises UsageError for what is no shard, StoreError where a server does not give it.
        """
        missing = [shard for shard in shards if shard not in self._indexes]
        with ThreadPoolExecutor(_THREADS) as pool:
            self._indexes |= zip(missing, pool.map(self._read_index, missing), strict=True)
        return [self._indexes[shard] for shard in shards]

    def _read_index(self, shard: str) -> ShardIndex:
        footage = footage_at(self.root, shard)
        try:
            index = told_index(footage)
        except NetworkError as error:
            raise StoreError(f"{footage} cannot be read ({error}); scan again") from error
        except OSError as error:
            told = f"{footage} cannot be read ({error.strerror})"
            raise UsageError(f"{told}; name shards that are there") from error
        return index

    def _may_hold(self, folder: Folder, shard: str) -> bool:
        return shard in folder.files

    def _unfold(self, shard: str) -> None:
        """List the folders in a shard as those on a disk are."""
        if shard in self._folders:
            return
        files: dict[str, set[str]] = {shard: set()}
        folders: dict[str, set[str]] = {shard: set()}
        (index,) = self.indexes([shard])
        for name in index.members:
            *above, last = name.split("/")
            here = shard
            for part in above:
                folders[here].add(part)
                here = f"{here}/{part}"
                files.setdefault(here, set())
                folders.setdefault(here, set())
            # Frames are read from folders of a disk alone.
            files[here] |= set() if is_frame(last) else {last}
        for path, names in files.items():
            inside = frozenset(folders[path])
            self._folders[path] = Folder(files=frozenset(names), folders=inside)

    def notes(self) -> list[str]:
        """One line for each kind of thing that was left out."""
        left_out = sorted(self.left_out.items())
        return [f"left out: {what}: {some(names)}" for what, names in left_out]

    def hold(self, paths: Sequence[str]) -> list[bool]:
        """Whether each of many paths is a file, or a folder of frames."""
        return list(map(self.holds, paths))

    def link_on(self, path: str) -> str:
        """The link on the way to a path that was not followed, "" where there is none."""
        return next((link for link in self.links if f"{path}/".startswith(f"{link}/")), "")

    def file_on(self, path: str) -> str:
        """The file that lies where a folder on the way to a path should, "" where none does."""
        for end in (position for position, sign in enumerate(path) if sign == "/"):
            above, _, name = path[:end].rpartition("/")
            if name in self.folder(above).files:
                return path[:end]
        return ""

    def _walk(self, below: str) -> Iterator[tuple[str, Folder]]:
        waiting = [below]
        while waiting:
            path = waiting.pop()
            folder = self.folder(path)
            yield path, folder
            waiting.extend(f"{path}/{name}" if path else name for name in folder.folders)

    def _leave_out(self, what: str, path: str) -> None:
        self.left_out.setdefault(what, []).append(path)


def below_root(source: Root, root: Root) -> str:
    """The path of a source below the root, "" for the root. Raises UsageError for one elsewhere."""
    if not (isinstance(source, Path) and isinstance(root, Path)):
        return _below_url(str(source), str(root))
    path = source.resolve()
    if not path.is_relative_to(root.resolve()):
        raise UsageError(
            f"{source} is not below the root {root}; leave --root out or name a parent"
        )
    relative = path.relative_to(root.resolve()).as_posix()
    return "" if relative == "." else relative


def _below_url(source: str, root: str) -> str:
    if f"{source}/".startswith(f"{root}/"):
        return source[len(root) + 1 :]
    raise UsageError(f"{source} is not below the root {root}; leave --root out or name a parent")
