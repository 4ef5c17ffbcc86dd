"""Line paths as paths below the root: those of other machines, backslashes, addresses.

Nothing here leaves the root: a prefix of another machine is dropped or replaced, and what is left
is looked for below the root.
"""

import os
import re
import shlex
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any
from urllib.parse import unquote

from vifistore.errors import UsageError, short
from vifistore.sources.remote_root import RemoteRoot
from vifistore.videos.folders import Folders
from vifistore.videos.known import KnownVideos
from vifistore.videos.records import Line
from vifistore.videos.text_lines import relative_path

Prefixes = tuple[tuple[str, str], ...]

_ABSOLUTE = re.compile(r"/|[A-Za-z]:/|[A-Za-z][\w+.-]*://", re.ASCII)
_WEB = re.compile(r"https?://", re.IGNORECASE)
# How many paths show which of their folders are those of the root.
_SAMPLE = 500
_LONGEST_PREFIX = 100


@dataclass(kw_only=True)
class ListedPaths:
    """What turns the paths of lists into paths below the root of a tree."""

    tree: Folders[Any] | KnownVideos
    prefixes: Prefixes = ()
    """(old, new): what paths begin with, and what it becomes, below the root or absolute."""
    notes: list[str] = field(default_factory=list)

    def below_root(self, listed: Sequence[Line], match: str) -> list[str]:
        """Clean POSIX paths relative to the root, in the order of the list.

        Raises UsageError with file and line for what would leave the root, or is elsewhere and has
        nothing below the root under any of its shorter forms.
        """
        _refuse_queries(listed, self.tree.root)
        paths = [self._below(self._mapped(self._tidy(entry.path))) for entry in listed]
        foreign = [index for index, path in enumerate(paths) if _ABSOLUTE.match(path)]
        if foreign and isinstance(self.tree.root, RemoteRoot) and not self.tree.root.can_list:
            # Where they lie cannot be tried.
            common = _common([paths[index].split("/") for index in foreign])
            self._refuse(listed[foreign[0]], paths[foreign[0]], common)
        if foreign:
            self._drop_prefix([listed[index] for index in foreign], paths, foreign, match)
        elif match == "path" and paths and not any(map(self._is_there, _sampled(paths))):
            self._drop_prefix(listed, paths, range(len(paths)), match)
        root = self.tree.root
        return [
            relative_path(path, root, entry.where)
            for path, entry in zip(paths, listed, strict=True)
        ]

    def _tidy(self, path: str) -> str:
        if path[:7].lower() == "file://":
            # An empty host, or the name of this one.
            path = unquote("/" + path[7:].partition("/")[2])
        elif _WEB.match(path):
            path = unquote(path)
        if "\\" in path and not self.tree.holds(path):
            path = path.replace("\\", "/")
        while path.startswith("./"):
            path = path[2:].lstrip("/")
        return path

    def _mapped(self, path: str) -> str:
        for old, new in self.prefixes:
            rest = path.removeprefix(old)
            if rest != path and (not rest or rest[0] == "/" or old[-1:] in ("", "/")):
                return "/".join(part for part in (new.rstrip("/"), rest.lstrip("/")) if part)
            if not old:
                return f"{new.rstrip('/')}/{path}"
        return path

    def _below(self, path: str) -> str:
        if _ABSOLUTE.match(path):
            for folder in (str(self.tree.root), self.tree.real_root):
                prefix = folder.rstrip("/") + "/"
                if path.startswith(prefix):
                    return path[len(prefix) :]
        return path

    def _is_there(self, path: str) -> bool:
        forms = (path, *(unicodedata.normalize(form, path) for form in ("NFC", "NFD")))
        return any(map(self.tree.holds, forms))

    def _drop_prefix(
        self, listed: Sequence[Line], paths: list[str], indices: Sequence[int], match: str
    ) -> None:
        """Drop the folders from some paths that are those of another machine."""
        parts = [[part for part in paths[index].split("/") if part] for index in indices]
        common = _common(parts)
        dropped = self._num_foreign(parts, len(common), {entry.label for entry in listed} - {""})
        are_absolute = bool(_ABSOLUTE.match(paths[indices[0]]))
        if dropped is None:
            if not are_absolute:
                return
            if match == "path" and not isinstance(self.tree, KnownVideos):
                self._refuse(listed[0], paths[indices[0]], common)
            dropped = len(common)
        if dropped or are_absolute:
            start = ("/" if paths[indices[0]].startswith("/") else "") + "/".join(common[:dropped])
            self.notes.append(f"paths begin with {short(start)!r}, which is read as the root")
        for index, path in zip(indices, parts, strict=True):
            paths[index] = "/".join(path[dropped:])

    def _num_foreign(
        self, parts: Sequence[list[str]], num_common: int, labels: set[str]
    ) -> int | None:
        """How many of the common folders to drop for most files to be there; None if none is."""
        sample = _sampled(parts)
        found = []
        for dropped in range(num_common + 1):
            tails = ["/".join(path[dropped:]) for path in sample]
            # The last folder may be the class: other videos of its name lie in other folders.
            is_safe = any("/" in tail for tail in tails) or len(labels) > 1 or not dropped
            is_root = dropped and sample[0][dropped - 1] == self.tree.root.name
            found.append(sum(map(self._is_there, tails)) if is_safe or is_root else 0)
        return found.index(max(found)) if max(found) else None

    def _refuse(self, entry: Line, path: str, common: Sequence[str]) -> None:
        folder = ("/" if path.startswith("/") else "") + "/".join(common)
        is_short = common and len(folder) <= _LONGEST_PREFIX
        option = shlex.quote(f"{folder}=FOLDER") if is_short else "OLD=NEW (repeat it for several)"
        tail = "/".join([part for part in path.split("/") if part][-2:])
        raise UsageError(
            f"{entry.where}: {short(entry.path)!r} is not below the root "
            f"{short(str(self.tree.root))} (nor is {short(tail)!r}); name its folder as --root, or "
            f"if it is another machine's, say where it is here: --map-prefix {option}"
        )


def _refuse_queries(listed: Sequence[Line], root: object) -> None:
    """Raise UsageError for addresses with signatures, which would lie in the store and expire."""
    if isinstance(root, RemoteRoot):
        for entry in listed:
            if _WEB.match(entry.path) and "?" in entry.path:
                raise UsageError(
                    f"{entry.where}: the address holds a query, as signed ones do; list paths "
                    "below --root without it, and open them to this machine otherwise"
                )


def parse_prefixes(texts: Sequence[str]) -> Prefixes:
    """`OLD=NEW` texts as pairs, the longest OLD first. Raises UsageError."""
    pairs = []
    for text in texts:
        old, equals, new = text.partition("=")
        if not equals:
            raise UsageError(
                f"--map-prefix {shlex.quote(text)} lacks a =; write OLD=NEW, what the listed paths "
                "begin with and the folder that it is here"
            )
        old = old.replace("\\", "/")
        old = unquote("/" + old[7:].partition("/")[2]) if old[:7].lower() == "file://" else old
        pairs.append((old.rstrip("/") or old[:1], os.path.expanduser(new)))
    return tuple(sorted(pairs, key=lambda pair: -len(pair[0])))


def _sampled(values: Sequence) -> Sequence:
    return values[:: max(1, len(values) // _SAMPLE)]


def _common(parts: Sequence[list[str]]) -> list[str]:
    """The folders that all paths begin with."""
    first, last = min(parts)[:-1], max(parts)[:-1]
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return [part for part, _ in pairs]
