"""File names for videos: ids hold slashes and what else a data set's author thought of."""

import hashlib
import re
from collections.abc import Sequence

_UNSAFE = re.compile(r"[^\w.@+=-]")
_MAX_LENGTH = 120


def file_stems(ids: Sequence[str]) -> list[str]:
    """One relative path without extension per id, none of them equal, none leaving its folder.

    Folders are kept. An id that would take an earlier one's place, also where upper and lower
    case are the same, gets a piece of its own digest; so names do not change when ids follow.
    """
    taken: set[str] = set()
    stems = []
    for name in ids:
        *folders, last = name.split("/")
        stem = "/".join([*map(_safe_folder, folders), _safe(_without_suffix(last))])
        digest = hashlib.sha256(name.encode()).hexdigest()
        unique, length = stem, 8
        while unique.casefold() in taken:
            unique, length = f"{stem}-{digest[:length]}", length + 8
        taken.add(unique.casefold())
        stems.append(unique)
    return stems


def _without_suffix(name: str) -> str:
    stem, dot, _ = name.rpartition(".")
    return stem if dot and stem else name


def _safe_folder(name: str) -> str:
    # Else a folder could have the name of an earlier video's file.
    return re.sub(r"\.npy$", "_npy", _safe(name), flags=re.IGNORECASE)


def _safe(name: str) -> str:
    safe = _UNSAFE.sub("_", name)
    safe = "_" + safe.lstrip(".") if safe.startswith(".") or not safe else safe
    if len(safe.encode()) <= _MAX_LENGTH:
        return safe
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return safe.encode()[: _MAX_LENGTH - 9].decode(errors="ignore") + "-" + digest
