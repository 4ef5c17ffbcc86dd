"""What a stopped run left half written: files under temporary names, and folders of nothing else.

The next run that writes in the store removes it.
"""

from vifistore.store.key_value.object_storage import ObjectStorage
from vifistore.store.schema import GROUPS, SUBGROUPS
from vifistore.store.zarr_format.backend import Backend


def leftovers(backend: Backend, path: str = "") -> list[str]:
    """Keys of all that is half written at or below `path`, sorted; some may be on its way now."""
    return sorted(backend.place.leftovers(path, _is_of_others))


def clear_leftovers(backend: Backend, path: str = "") -> None:
    """Remove what stopped runs left below `path` of a folder, unless somebody is writing in it.

    Without a path, arrays of feature sets are not looked into: they have a file for every 64
    videos, and whoever writes such a set clears it.
    """
    place, leave_out = backend.place, _is_of_others if path else _is_large
    if isinstance(place, ObjectStorage):
        # Who is alone is not known there: millions of objects would be listed for nothing.
        return
    if place.leftovers(path, leave_out):
        with place.alone() as is_alone:
            # Looked for again under the lock: what was on its way may be there by now.
            for key in place.leftovers(path, leave_out) if is_alone else ():
                place.remove(key)


def _is_of_others(key: str) -> bool:
    """Whether a folder is none of this schema: not even an empty one of those is ours to judge."""
    return bool(key) and key.split("/")[0] not in GROUPS


def _is_large(key: str) -> bool:
    kind, *names = key.split("/")
    is_array = kind == "features" and len(names) == 3 and names[2] not in SUBGROUPS
    return is_array or _is_of_others(key)
