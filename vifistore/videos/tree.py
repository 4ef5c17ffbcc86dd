"""The files below a root, each folder listed once and no file asked about by itself.

Three things are never entered or named as a video, and are told in `notes`: folders that may not
be read, names that are not UTF-8 or hold control characters, and, unless links are followed,
symbolic links that leave the root and links to folders (a link to a file inside the root is that
file). Followed links never lead round in a circle.
Hidden files and folders (a leading dot) are passed over, like the thumbnails and "._" files that
desktops leave behind.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

from vifistore.errors import UsageError
from vifistore.videos.folders import UNPRINTABLE, Folder, Folders


@dataclass(kw_only=True)
class Tree(Folders[Path]):
    """The folders below a folder of this machine as far as they were asked for."""

    follow_links: bool = False
    """Enter and name what symbolic links point to, wherever it is."""
    _above: dict[str, frozenset[str]] = field(default_factory=dict)
    """Of each folder that was listed, it and those above it without links."""

    def __post_init__(self) -> None:
        if not self.root.is_dir():
            raise UsageError(f"the root {self.root} is not a folder; name an existing one")
        self.real_root = os.path.realpath(self.root)
        self._above[""] = frozenset((self.real_root,))
        self._folders[""] = self._list("")

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
        if UNPRINTABLE.search(name):
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


def _fetched_by(target: str) -> str:
    """What brings the file that a link of git-annex waits for."""
    return " (run `git annex get` for them)" if "/annex/objects/" in target else ""
