"""What names say: which split a file lists, and how its videos may be found."""

import re
from collections.abc import Sequence

from vifistore.videos.file_names import is_hmdb51_name, is_ucf101_name
from vifistore.videos.match import youtube_id

_SPLIT_NAME = re.compile(r"(train|test|val)(?:list|_split)0*(\d+)")


def split_name(file_stem: str) -> str:
    """The short name of an official list (testlist01 -> test1), else the name of the file.

    The store takes letters, digits and _.@+=- in names; other characters become "_".
    """
    match = _SPLIT_NAME.fullmatch(file_stem)
    if match:
        return match.group(1) + match.group(2)
    return re.sub(r"[^A-Za-z0-9_.@+=-]|^[.@+=-]", "_", file_stem)


def match_of(paths: Sequence[str]) -> str:
    """How listed paths may find their files: by name only where names are unique by design."""
    if _is_kinetics(paths):
        return "youtube"
    flat = all("/" not in path for path in paths)
    by_design = (is_ucf101_name(path) or is_hmdb51_name(path) for path in paths)
    return "name" if flat or all(by_design) else "path"


def _is_kinetics(paths: Sequence[str]) -> bool:
    """True where every name is a YouTube id and none is shared by two paths.

    Other names may have eleven characters too ("video_00001"); most YouTube ids hold a capital.
    """
    ids = [youtube_id(path) for path in set(paths)]
    if not all(ids) or len(set(ids)) < len(ids):
        return False
    return 2 * sum(id != id.lower() for id in ids) > len(ids)
