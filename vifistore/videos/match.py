"""Which file a listed path means.

Published lists and unpacked datasets disagree on folders, extensions and time stamps, so a format
whose file names are unique by design may be matched by them:

- "path": the listed path, in whatever case and Unicode form, with underscores or blanks, and
  where it has no extension, with a video's;
- "name": else the one file of that name, or of that name with another extension or one more (what
  DiDeMo lists as X.3gp is X.3gp.mp4 once it is converted), in any folder;
- "clip": else the one file of that YouTube id and those times, else that of the id alone;
- "youtube": else the one file of that YouTube id, whatever its times are.
"""

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

from vifistore.errors import UsageError
from vifistore.sources.extensions import is_video, stem
from vifistore.videos.class_names import plain
from vifistore.videos.file_names import letters, names_class
from vifistore.videos.folders import Folders
from vifistore.videos.known import KnownVideos
from vifistore.videos.stretches import Stretch
from vifistore.videos.text_lines import some

# ActivityNet writes v_ in front; times are in seconds, with or without zeros, or the start alone.
_TIME = r"(?:_(\d{1,9}(?:\.\d+)?))?"
_YOUTUBE = re.compile(rf"(?:v_)?([\w-]{{11}}){_TIME}{_TIME}", re.ASCII)


def youtube_id(path: str) -> str:
    """The 11 characters of a YouTube id that open a Kinetics file name, or ""."""
    match = _YOUTUBE.fullmatch(stem(path))
    return match.group(1) if match else ""


def clip_name(video: str, stretch: Stretch, where: str) -> str:
    """`<id>_<start>_<end>.mp4` with six digits each, the name most downloads of Kinetics give.

    They differ in folder, time stamps and extension. Raises UsageError for what is no YouTube id.
    """
    if youtube_id(video) != video:
        raise UsageError(f"{where}: {video!r} is no YouTube id of 11 characters; mend the row")
    if stretch.end is None:
        return f"{video}.mp4"
    return f"{video}_{int(stretch.start):06d}_{int(stretch.end):06d}.mp4"


def clip_times(path: str) -> tuple[float, float] | None:
    """The times in seconds of a name that is a YouTube id with both, or None."""
    match = _YOUTUBE.fullmatch(stem(path))
    if not match or match.group(3) is None:
        return None
    return float(match.group(2)), float(match.group(3))


def _youtube_clip(path: str) -> str:
    """YouTube id and times of a name, or "" where it lacks them."""
    times = clip_times(path)
    return f"{youtube_id(path)} {int(times[0])} {int(times[1])}" if times else ""


def _download(file: str) -> str:
    """The YouTube id of a file that has no times in its name, or ""."""
    return "" if clip_times(file) else youtube_id(file)


def _path_stem(path: str) -> str:
    return plain(path.rpartition(".")[0] if is_video(path) else path)


def _name(path: str) -> str:
    return plain(path.rpartition("/")[2])


def _name_stem(path: str) -> str:
    return plain(stem(path))


def _bare_name(path: str) -> str:
    """The name of a file without any extension of a video, of which converted ones have two."""
    name = path.rpartition("/")[2]
    while is_video(name):
        name = stem(name)
    return plain(name)


def match_of(paths: Sequence[str]) -> str:
    """How listed paths may find their files: by name only where names are unique by design."""
    if _is_kinetics(paths):
        return "youtube"
    flat = all("/" not in path for path in paths)
    return "name" if flat or all(map(names_class, paths)) else "path"


def _is_kinetics(paths: Sequence[str]) -> bool:
    """True where every name is a YouTube id and none is shared by two paths.

    Other names may have eleven characters too ("video_00001"); most YouTube ids hold a capital.
    """
    ids = [youtube_id(path) for path in set(paths)]
    if not all(ids) or len(set(ids)) < len(ids):
        return False
    return 2 * sum(id != id.lower() for id in ids) > len(ids)


# Tried in this order after the path itself: what is compared, and how a match is told.
_KEYS: list[tuple[Callable[[str], str], str]] = [
    (plain, "in another spelling"),
    (_path_stem, "with an extension that is not listed"),
    (_name, "by file name"),
    (_name_stem, "by file name with another extension"),
    (_bare_name, "by file name with another number of extensions"),
    (_youtube_clip, "by YouTube id and times"),
    (_download, "as whole downloads by YouTube id"),
    (youtube_id, "by YouTube id"),
]
# How many of the keys a path may be matched by.
_ALLOWED = {"path": 2, "name": 5, "clip": 7, "youtube": 8}


def match_paths(
    paths: Sequence[str],
    matches: Sequence[str],
    tree: Folders[Any] | KnownVideos,
    *,
    folders: Collection[str] | None = None,
) -> tuple[list[str], list[str]]:
    """The file of each listed path relative to the root, "" where it is missing, and notes.

    `matches` says for each path how it may be matched; `folders` are names of those folders below
    the root that are searched, None for all.
    """
    there = tree.hold(paths)
    found = [path if is_there else "" for path, is_there in zip(paths, there, strict=True)]
    notes: list[str] = []
    missing = [row for row, path in enumerate(found) if not path]
    videos = _searched(tree, [paths[row] for row in missing], folders) if missing else []
    for place, (key, told) in enumerate(_KEYS):
        missing = [row for row in missing if not found[row] and place < _ALLOWED[matches[row]]]
        rows = missing
        if key is _path_stem:
            # Another extension than the listed one is another file.
            rows = [row for row in missing if not is_video(paths[row])]
        if rows:
            notes += _match_by(key, told, rows, paths, videos, found)
    return found, notes


def _match_by(
    key: Callable[[str], str],
    told: str,
    rows: Sequence[int],
    paths: Sequence[str],
    videos: Sequence[str],
    found: list[str],
) -> list[str]:
    """Fill in the files of some rows that one video alone fits by a key; what was done."""
    files = _files_by(key, videos)
    listed_key = youtube_id if key is _download else key
    matched, doubtful = 0, []
    for row in rows:
        candidates = files.get(listed_key(paths[row]), [])
        if len(candidates) == 1:
            found[row] = candidates[0]
            matched += 1
        elif candidates:
            doubtful.append(f"{paths[row]} ({some(candidates, 2)})")
    notes = []
    if matched:
        notes.append(f"{matched:,} of {len(paths):,} listed videos were found {told}")
    if doubtful:
        notes.append(f"not matched {told}, for several files fit: {some(doubtful)}")
    return notes


def _searched(
    tree: Folders[Any] | KnownVideos, paths: Sequence[str], folders: Collection[str] | None
) -> list[str]:
    """Videos below the root; only right in it, in `folders` and in those that paths name."""
    # Ids lie in no folders.
    if folders is None or isinstance(tree, KnownVideos):
        return tree.videos()
    named = {letters(path.partition("/")[0]) for path in paths if "/" in path}
    named |= set(map(letters, folders))
    top = tree.folder("")
    found = list(filter(is_video, top.files))
    for folder in top.folders:
        if letters(folder) in named:
            found += [folder] if tree.folder(folder).holds_frames else tree.videos(folder)
    return sorted(found)


def _files_by(key: Callable[[str], str], videos: Sequence[str]) -> dict[str, list[str]]:
    files: dict[str, list[str]] = {}
    for video in videos:
        if name := key(video):
            files.setdefault(name, []).append(video)
    return files
