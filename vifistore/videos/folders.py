"""What lies below a root, each folder listed once and no file asked about by itself."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from vifistore.sources.extensions import is_frame, is_video
from vifistore.sources.roots import Root
from vifistore.videos.text_lines import some

# Control characters, and the half characters that stand for bytes which are not UTF-8.
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

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
