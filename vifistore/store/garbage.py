"""What can go: feature sets without a name, text sets cut short, files a kill left behind."""

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vifistore.errors import DamagedError, LockedError, UsageError
from vifistore.store.backend import Backend
from vifistore.store.disk import clear_disk_errors
from vifistore.store.locks import BlockLocks
from vifistore.store.names import read_names
from vifistore.store.schema import BLOCK_SIZE
from vifistore.store.store import Store
from vifistore.store.texts import TEXT_FIELDS

# A chunk or zarr.json on its way: zarr writes it under this suffix, then renames it.
_PARTIAL = ".partial"

# Outside feature sets nothing is locked: what is older than this no one is writing any more.
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

    Raises DamagedError where a name cannot be read: what it stands for must not be lost, and
    UsageError for an object store.
    """
    backend = store.backend
    if not isinstance(backend.folder, Path):
        raise UsageError(
            f"{backend.folder} is no folder of this machine; remove what vifi verify names with "
            "the object store's own tools"
        )
    found = [*_unnamed_sets(backend), *_half_texts(backend)]
    gone = tuple(f"{garbage.where}/" for garbage in found)
    found += [g for g in _partial_files(backend) if not g.where.startswith(gone)]
    return found


def delete_garbage(store: Store, garbage: Garbage) -> bool:
    """Remove one piece of garbage; False, and nothing is done, while someone is writing it."""
    backend = store.backend
    path = backend.folder / garbage.where
    try:
        locks = _locked(backend, garbage.where)
    except LockedError:
        return False
    try:
        with clear_disk_errors(backend.folder):
            if locks is None and _age_seconds(path) < _SETTLED_SECONDS:
                return False
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    finally:
        if locks is not None:
            locks.release()
    return True


def _locked(backend: Backend, where: str) -> BlockLocks | None:
    """Locks on all of the feature set that `where` belongs to; None if it belongs to none."""
    parts = where.split("/")
    if parts[0] != "features" or len(parts) < 3:
        return None
    path = "/".join(parts[:3])
    locks = BlockLocks(backend.cache_folder, parts[1], parts[2])
    try:
        num_videos = backend.open_array(f"{path}/status").shape[0]
    except DamagedError:
        num_videos = 0
    locks.acquire(range(max(1, -(-num_videos // BLOCK_SIZE))))
    return locks


def _unnamed_sets(backend: Backend) -> Iterator[Garbage]:
    for dataset in backend.children("features"):
        named = {name.id for name in read_names(backend, dataset)}
        ids = backend.children(f"features/{dataset}")
        needed = named | {_parent(backend, dataset, name) for name in ids if name in named}
        for feature_id in ids:
            if feature_id in needed:
                continue
            path = f"features/{dataset}/{feature_id}"
            state = "sealed" if _is_sealed(backend, path) else "not sealed"
            yield Garbage(
                where=path,
                what=f"feature set without a name, {state}",
                size_bytes=_size(backend.folder / path),
            )


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
    folder = backend.folder / "texts"
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not path.is_dir():
            continue
        name = f"texts/{path.name}"
        if not backend.exists(name) or not set(TEXT_FIELDS) <= backend.attributes(name).keys():
            yield Garbage(where=name, what="text set cut short", size_bytes=_size(path))


def _partial_files(backend: Backend) -> Iterator[Garbage]:
    for folder, folders, files in os.walk(backend.folder):
        folders.sort()
        for name in sorted(files):
            path = Path(folder, name)
            if name.endswith(_PARTIAL) and not path.is_symlink():
                yield Garbage(
                    where=path.relative_to(backend.folder).as_posix(),
                    what="file that a stopped run left half written",
                    size_bytes=path.stat().st_size,
                )


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))


def _age_seconds(path: Path) -> float:
    try:
        return time.time() - path.lstat().st_mtime
    except FileNotFoundError:
        return _SETTLED_SECONDS
