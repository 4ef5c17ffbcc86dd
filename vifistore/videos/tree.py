"""The files below a root, each folder listed once and no file asked about by itself.

Three things are never entered or named as a video, and are told in `notes`: folders that may not
be read, names that are not UTF-8 or hold control characters, and, unless links are followed,
symbolic links that leave the root and links to folders (a link to a file inside the root is that
file). Followed links never lead round in a circle.
Hidden files and folders (a leading dot) are passed over, like the thumbnails and "._" files that
desktops leave behind.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vifistore.errors import UsageError
from vifistore.sources.extensions import is_frame, is_video
from vifistore.videos.text_lines import some

# Control characters, and the half characters that stand for bytes which are not UTF-8.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


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
class Tree:
    """The folders below `root` as far as they were asked for."""

    root: Path
    follow_links: bool = False
    """Enter and name what symbolic links point to, wherever it is."""
    left_out: dict[str, list[str]] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)
    """Links that were not followed, for nobody asked for it."""
    real_root: str = ""
    """The root without links."""
    _folders: dict[str, Folder] = field(default_factory=dict)
    _above: dict[str, frozenset[str]] = field(default_factory=dict)
    """Of each folder that was listed, it and those above it without links."""

    def __post_init__(self) -> None:
        if not self.root.is_dir():
            raise UsageError(f"the root {self.root} is not a folder; name an existing one")
        self.real_root = os.path.realpath(self.root)
        self._above[""] = frozenset((self.real_root,))
        self._folders[""] = self._list("")

    def folder(self, path: str) -> Folder:
        """The folder at a relative path; an empty one where there is none below the root."""
        listed = self._folders.get(path)
        if listed is not None:
            return listed
        # From the root down, so that a path never passes through a link that is not followed.
        here, prefix = self._folders[""], ""
        for part in path.split("/"):
            if part not in here.folders:
                return Folder()
            above, prefix = prefix, f"{prefix}/{part}" if prefix else part
            if prefix not in self._folders:
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

    def notes(self) -> list[str]:
        """One line for each kind of thing that was left out."""
        left_out = sorted(self.left_out.items())
        return [f"left out: {what}: {some(names)}" for what, names in left_out]

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

    def _list_below(self, above: str, path: str) -> Folder:
        if self.follow_links:
            real = os.path.realpath(self.root / path)
            if real in self._above[above]:
                self._leave_out("links lead back to a folder above them", path)
                return Folder()
            self._above[path] = self._above[above] | {real}
        return self._list(path)

    def _list(self, path: str) -> Folder:
        files, folders = [], []
        try:
            with os.scandir(os.path.join(self.root, path)) as entries:
                for entry in entries:
                    self._sort_in(entry, path, files, folders)
        except OSError as error:
            if not path:
                remedy = "make it readable or name another"
                raise UsageError(f"the root {self.root}: {error.strerror}; {remedy}") from error
            self._leave_out("folders cannot be read", path)
        return Folder(files=frozenset(files), folders=frozenset(folders))

    def _sort_in(self, entry: os.DirEntry, path: str, files: list, folders: list) -> None:
        name = entry.name
        if name.startswith("."):
            return
        if _UNPRINTABLE.search(name):
            self._leave_out("names are not UTF-8 or hold control characters", f"{path}/{name!a}")
        elif entry.is_symlink():
            self._sort_link(entry, f"{path}/{name}" if path else name, files, folders)
        elif entry.is_dir(follow_symlinks=False):
            folders.append(name)
        # Neither a pipe nor a device is a file: reading one could wait for ever.
        elif entry.is_file(follow_symlinks=False):
            files.append(name)

    def _sort_link(self, entry: os.DirEntry, path: str, files: list, folders: list) -> None:
        target = os.path.realpath(entry.path)
        is_inside = f"{target}/".startswith(self.real_root.rstrip("/") + "/")
        if not is_inside and not self.follow_links:
            self.links.append(path)
            self._leave_out("links leave the root (--follow-links reads what they lead to)", path)
        elif not os.path.exists(target):
            self._leave_out(f"links point to nothing{_fetched_by(target)}", path)
        elif os.path.isdir(target) and not self.follow_links:
            self.links.append(path)
            self._leave_out("links to folders (--follow-links enters them)", path)
        elif os.path.isdir(target):
            folders.append(entry.name)
        # Neither a pipe nor a device is a file: reading one could wait for ever.
        elif os.path.isfile(target):
            files.append(entry.name)

    def _leave_out(self, what: str, path: str) -> None:
        self.left_out.setdefault(what, []).append(path)


def _fetched_by(target: str) -> str:
    """What brings the file that a link of git-annex waits for."""
    return " (run `git annex get` for them)" if "/annex/objects/" in target else ""
