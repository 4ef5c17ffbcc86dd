"""What can go: sets without a name, texts and splits cut short, files that a kill left behind."""

import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from vifistore.errors import DamagedError, LockedError
from vifistore.store.backend import Backend
from vifistore.store.disk import clear_disk_errors
from vifistore.store.leftovers import PARTIAL, partial_files
from vifistore.store.names import read_names
from vifistore.store.removal import locked_set, remove_group
from vifistore.store.store import Store
from vifistore.store.tables import split_names
from vifistore.store.texts import has_texts

# What is locked by nobody and older than this no one is writing any more.
_SETTLED_SECONDS = 3600.0


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """One folder or file that nothing needs."""

    where: str
    """Path within the store."""
    what: str
    size_bytes: int


def find_garbage(store: Store) -> list[Garbage]:
    """Everything that can go. Never a feature set with a name, nor the parent of one.

    Raises DamagedError where a name cannot be read: what it stands for must not be lost.
    """
    backend = store.backend
    found = [*_unnamed_sets(backend), *_half_texts(backend), *_half_splits(backend)]
    found += _half_removed(backend)
    gone = tuple(f"{garbage.where}/" for garbage in found)
    found += [g for g in _partial_files(backend) if not g.where.startswith(gone)]
    return found


def delete_garbage(store: Store, garbage: Garbage) -> bool:
    """Remove one piece of garbage; False, and nothing is done, if it is being or has been finished.

    Raises DamagedError where a name cannot be read.
    """
    backend, where = store.backend, garbage.where
    try:
        with _held(backend, where) as is_held, clear_disk_errors(backend.folder):
            if not is_held and _age_seconds(backend, where) < _SETTLED_SECONDS:
                return False
            # Asked again under the locks: it may have got a name since it was found.
            if _is_needed(backend, where):
                return False
            if where.endswith(PARTIAL):
                backend.place.remove(where)
            else:
                remove_group(backend, where)
    except LockedError:
        return False
    return True


def _held(backend: Backend, where: str) -> AbstractContextManager[bool]:
    """Hold the feature set that `where` belongs to; it may belong to none."""
    parts = where.split("/")
    is_of_set = parts[0] == "features" and len(parts) >= 3
    return locked_set(backend, "/".join(parts[:3])) if is_of_set else nullcontext(False)


def _unnamed_sets(backend: Backend) -> Iterator[Garbage]:
    for dataset in backend.children("features"):
        needed = _needed_sets(backend, dataset)
        for feature_id in backend.children(f"features/{dataset}"):
            if feature_id in needed:
                continue
            path = f"features/{dataset}/{feature_id}"
            state = "sealed" if _is_sealed(backend, path) else "not sealed"
            yield Garbage(
                where=path,
                what=f"feature set without a name, {state}",
                size_bytes=_size(backend, path),
            )


def _needed_sets(backend: Backend, dataset: str) -> set[str]:
    """Ids of the feature sets of a dataset that have a name, and of their parents."""
    named = {name.id for name in read_names(backend, dataset)}
    ids = backend.children(f"features/{dataset}")
    return named | {_parent(backend, dataset, name) for name in ids if name in named}


def _is_needed(backend: Backend, where: str) -> bool:
    """Whether a feature set, texts or a split that could go when found must stay by now."""
    kind, *parts = where.split("/")
    if kind == "features" and len(parts) == 2 and backend.exists(where):
        return parts[1] in _needed_sets(backend, parts[0]) or _is_starting(backend, where)
    if kind == "splits" and len(parts) == 2:
        return parts[1] in split_names(backend, parts[0])
    return kind == "texts" and len(parts) == 1 and not _is_half_text(backend, where)


def _is_starting(backend: Backend, path: str) -> bool:
    """Whether a run has just planned a feature set: it names it next, and then locks blocks."""
    has_begun = any("/status/c." in file.key for file in backend.place.files(path))
    return not has_begun and _age_seconds(backend, path) < _SETTLED_SECONDS


def _parent(backend: Backend, dataset: str, feature_id: str) -> str:
    """Id of the set that a derived one was made from; empty for one made from videos."""
    recipe = backend.attributes(f"features/{dataset}/{feature_id}").get("recipe", {})
    return str(recipe.get("parent", ""))


def _is_sealed(backend: Backend, path: str) -> bool:
    try:
        return bool(backend.attributes(path).get("sealed"))
    except DamagedError:
        return False


def _half_texts(backend: Backend) -> Iterator[Garbage]:
    """Text sets whose writing was cut short: their attributes are written last."""
    for folder in sorted(backend.place.folders("texts")):
        name = f"texts/{folder}"
        if _is_half_text(backend, name):
            yield Garbage(where=name, what="text set cut short", size_bytes=_size(backend, name))


def _is_half_text(backend: Backend, path: str) -> bool:
    return not has_texts(backend, path.removeprefix("texts/"))


def _half_splits(backend: Backend) -> Iterator[Garbage]:
    """Splits whose writing was cut short: their attributes are written last."""
    for dataset in backend.children("splits"):
        for name in set(backend.children(f"splits/{dataset}")) - {*split_names(backend, dataset)}:
            path = f"splits/{dataset}/{name}"
            yield Garbage(where=path, what="split cut short", size_bytes=_size(backend, path))


def _half_removed(backend: Backend) -> Iterator[Garbage]:
    """What a removal that was killed left in an object store: files of what is no group any more.

    Its group goes first; a local folder leaves the store whole.
    """
    for kind in ("features", "splits", "captions", "videos"):
        for folder in sorted(backend.place.folders(kind)):
            inner = [
                f"{folder}/{name}" for name in sorted(backend.place.folders(f"{kind}/{folder}"))
            ]
            for name in inner if kind in ("features", "splits") else [folder]:
                path = f"{kind}/{name}"
                if not backend.exists(path):
                    size = _size(backend, path)
                    yield Garbage(where=path, what="what a removal left", size_bytes=size)


def _partial_files(backend: Backend) -> Iterator[Garbage]:
    for file in partial_files(backend, ""):
        yield Garbage(
            where=file.key,
            what="file that a stopped run left half written",
            size_bytes=file.size_bytes,
        )


def _size(backend: Backend, path: str) -> int:
    return sum(file.size_bytes for file in backend.place.files(path))


def _age_seconds(backend: Backend, path: str) -> float:
    """How long ago the last file was written; endless for none."""
    changes = [file.changed_at for file in backend.place.files(path)]
    return time.time() - max(changes, default=-math.inf)
