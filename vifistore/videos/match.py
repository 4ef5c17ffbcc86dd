"""Which file a listed path means.

Published lists and unpacked datasets disagree on folders, extensions and time stamps, so a format
whose file names are unique by design may be matched by them:

- "path": the listed path and nothing else;
- "name": else the one file of that name, or of that name with another extension, in any folder;
- "youtube": else the one file of that YouTube id, whatever its time stamps.
"""

import re
from collections.abc import Callable, Sequence

from vifistore.videos.extensions import stem
from vifistore.videos.known import KnownVideos
from vifistore.videos.text import some
from vifistore.videos.tree import Tree

_YOUTUBE = re.compile(r"([\w-]{11})(?:_\d+_\d+)?", re.ASCII)


def youtube_id(path: str) -> str:
    """The 11 characters of a YouTube id that open a Kinetics file name, or ""."""
    match = _YOUTUBE.fullmatch(stem(path))
    return match.group(1) if match else ""


def _name(path: str) -> str:
    return path.rpartition("/")[2]


# Tried in this order after the path itself: what is compared, and how a match is told.
_KEYS: list[tuple[Callable[[str], str], str]] = [
    (_name, "by file name"),
    (stem, "by file name with another extension"),
    (youtube_id, "by YouTube id"),
]
# How many of the keys a path may be matched by.
_ALLOWED = {"path": 0, "name": 2, "youtube": 3}


def match_paths(
    paths: Sequence[str], matches: Sequence[str], tree: Tree | KnownVideos
) -> tuple[list[str], list[str]]:
    """The file of each listed path relative to the root, "" where it is missing, and notes.

    `matches` says for each path how it may be matched.
    """
    found = [path if tree.holds(path) else "" for path in paths]
    notes: list[str] = []
    open_rows = [row for row, path in enumerate(found) if not path and _ALLOWED[matches[row]]]
    videos = tree.videos() if open_rows else []
    for place, (key, told) in enumerate(_KEYS):
        open_rows = [row for row in open_rows if not found[row] and place < _ALLOWED[matches[row]]]
        if not open_rows:
            break
        files = _files_by(key, videos)
        matched, doubtful = 0, []
        for row in open_rows:
            candidates = files.get(key(paths[row]), [])
            if len(candidates) == 1:
                found[row] = candidates[0]
                matched += 1
            elif candidates:
                doubtful.append(f"{paths[row]} ({some(candidates, 2)})")
        if matched:
            notes.append(f"{matched:,} of {len(paths):,} listed videos were found {told}")
        if doubtful:
            notes.append(f"not matched {told}, for several files fit: {some(doubtful)}")
    return found, notes


def _files_by(key: Callable[[str], str], videos: list[str]) -> dict[str, list[str]]:
    files: dict[str, list[str]] = {}
    for video in videos:
        if name := key(video):
            files.setdefault(name, []).append(video)
    return files
