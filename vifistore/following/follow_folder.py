"""The checkpoint files of a folder: which are new, and whole."""

import time
from dataclasses import dataclass
from pathlib import Path

from vifistore.models.checkpoint_files import is_whole
from vifistore.models.config_files import WEIGHTS_SUFFIXES

# What is copied here by other means than a rename may be whole by its looks before it is.
_SETTLED_SECONDS = 1.0
# One that does not get whole is tried all the same, so that the reason is told.
_GIVEN_UP_SECONDS = 60.0

Signature = tuple[int, int, int]
"""Inode, bytes and nanoseconds of the last change: other content has another one."""


@dataclass(kw_only=True)
class _Seen:
    """A file as it was when it was first seen so."""

    signature: Signature
    since: float
    is_done: bool = False

    def unchanged_seconds(self) -> float:
        """By the clock of whoever wrote it or by ours, whichever says more."""
        return max(time.time() - self.signature[2] / 1e9, time.monotonic() - self.since)


class CheckpointFolder:
    """What of a folder's checkpoint files is still to do.

    Files are those of its top level whose name ends as one of weights does and does not begin with
    a full stop: that is how one is called while it is written. A folder that is not there is empty.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: dict[Path, _Seen] = {}

    def look(self) -> list[Path]:
        """Return the whole files that are not done, oldest first."""
        files = dict(self._list())
        self._seen = {path: seen for path, seen in self._seen.items() if path in files}
        for path, signature in files.items():
            if path not in self._seen or self._seen[path].signature != signature:
                self._seen[path] = _Seen(signature=signature, since=time.monotonic())
        waiting = [path for path, seen in self._seen.items() if not seen.is_done]
        ready = [path for path in waiting if self._is_ready(path)]
        return sorted(ready, key=lambda path: (self._seen[path].signature[2], path.name))

    def signature(self, path: Path) -> Signature:
        """What a file of the last look was then."""
        return self._seen[path].signature

    def finish(self, path: Path) -> bool:
        """Take a file off the list, unless it has changed since the look; return whether it is."""
        if dict(self._list()).get(path) != self._seen[path].signature:
            return False
        self._seen[path].is_done = True
        return True

    @property
    def has_waiting(self) -> bool:
        """Whether a file of the last look is not done."""
        return not all(seen.is_done for seen in self._seen.values())

    def _list(self) -> list[tuple[Path, Signature]]:
        try:
            paths = list(self.folder.iterdir())
        except FileNotFoundError:
            return []
        files = []
        for path in paths:
            if path.suffix not in WEIGHTS_SUFFIXES or path.name.startswith("."):
                continue
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            if path.is_file():
                files.append((path, (status.st_ino, status.st_size, status.st_mtime_ns)))
        return files

    def _is_ready(self, path: Path) -> bool:
        seconds = self._seen[path].unchanged_seconds()
        if seconds < _SETTLED_SECONDS:
            return False
        return is_whole(path) or seconds >= _GIVEN_UP_SECONDS
