"""What can go: sets without a name, texts and splits cut short, files that a kill left behind."""

from collections.abc import Iterator
from dataclasses import dataclass

from vifistore.errors import DamagedError, LockedError
from vifistore.store.dataset import Dataset
from vifistore.store.key_value.disk import clear_disk_errors
from vifistore.store.leftovers import leftovers
from vifistore.store.removing.removal import is_fresh, locked_set, remove_group
from vifistore.store.schema import (
    CAPTION_COLUMNS,
    FEATURE_ARRAYS,
    SIMILARITIES,
    SPLIT_COLUMNS,
    VIDEO_COLUMNS,
)
from vifistore.store.similarities import similarity_ids
from vifistore.store.splits import split_names
from vifistore.store.store import Store
from vifistore.store.texts import has_texts
from vifistore.store.zarr_format.backend import Backend

# What lies below a kind of groups, and those whose groups lie below their dataset.
_ARRAYS = {
    "features": FEATURE_ARRAYS,
    "splits": SPLIT_COLUMNS,
    "captions": CAPTION_COLUMNS,
    "videos": VIDEO_COLUMNS,
}
_NESTED = ("features", "splits")


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """One folder or file that nothing needs."""

    where: str
    """Path within the store."""
    what: str
    size_bytes: int
    is_set: bool = False
    """Whether it is a feature set, and not what a stopped run left half written."""

    def as_dict(self) -> dict:
        """The fields that `vifi gc --json` prints."""
        return {"where": self.where, "what": self.what, "size_bytes": self.size_bytes}


def find_garbage(store: Store) -> list[Garbage]:
    """Everything that can go. Never a feature set with a name, nor the parent of one.

    Raises DamagedError where a name cannot be read: what it stands for must not be lost.
    """
    backend = store.backend
    found = [*_unnamed_sets(store), *_half_texts(store), *_half_splits(store)]
    gone = tuple(f"{garbage.where}/" for garbage in found)
    found += [g for g in _half_similarities(store) if not g.where.startswith(gone)]
    found += _half_removed(backend)
    gone = tuple(f"{garbage.where}/" for garbage in found)
    found += [g for g in _leftovers(backend) if not f"{g.where}/".startswith(gone)]
    return found


def delete_garbage(store: Store, garbage: Garbage) -> bool:
    """Remove one piece of garbage; False, and nothing is done, if it is being or has been finished.

    Raises DamagedError where a name cannot be read.
    """
    backend, where = store.backend, garbage.where
    if not garbage.is_set:
        return _delete_leftover(store, where)
    try:
        with locked_set(backend, where), clear_disk_errors(backend.folder):
            # Asked again under the locks: it may have got a name since it was found.
            if _is_needed(store, where):
                return False
            remove_group(backend, where)
    except LockedError:
        return False
    return True


def _delete_leftover(store: Store, where: str) -> bool:
    """Remove what is half written or removed, where nobody is writing; in an object store, an hour
    later."""
    backend = store.backend
    with clear_disk_errors(backend.folder), backend.place.alone() as is_alone:
        if not is_alone and is_fresh(backend, where):
            return False
        # Asked again: it may have been finished since it was found.
        kind = where.split("/")[0]
        is_left = where in leftovers(backend, where.rpartition("/")[0])
        is_left |= kind in _HALVES and where in {g.where for g in _HALVES[kind](store)}
        is_left |= where in {g.where for g in _half_removed(backend)}
        if is_left:
            backend.place.remove(where)
        return is_left


def _unnamed_sets(store: Store) -> Iterator[Garbage]:
    backend = store.backend
    for name in backend.children("features"):
        dataset = Dataset(store, name)
        needed = _needed_sets(dataset)
        for feature_id in dataset.feature_ids():
            if feature_id in needed:
                continue
            path = dataset.feature_path(feature_id)
            state = "sealed" if _is_sealed(backend, path) else "not sealed"
            yield _garbage(backend, path, f"feature set without a name, {state}", is_set=True)


def _needed_sets(dataset: Dataset) -> set[str]:
    """Ids of the feature sets of a dataset that have a name, and of their parents."""
    named = {name.id for name in dataset.names()}
    return named | {_parent(dataset, name) for name in dataset.feature_ids() if name in named}


def _is_needed(store: Store, where: str) -> bool:
    """Whether a feature set that could go when it was found must stay by now."""
    _, dataset, feature_id = where.split("/")
    is_needed = feature_id in _needed_sets(Dataset(store, dataset))
    return is_needed or _is_starting(store.backend, where)


def _is_starting(backend: Backend, path: str) -> bool:
    """Whether a run has just planned a feature set: it names it next, and then locks blocks."""
    has_begun = any("/status/c." in file.key for file in backend.place.files(path))
    return not has_begun and is_fresh(backend, path)


def _parent(dataset: Dataset, feature_id: str) -> str:
    """Id of the set that a derived one was made from; empty for one made from videos."""
    recipe = dataset.backend.attributes(dataset.feature_path(feature_id)).get("recipe", {})
    return str(recipe.get("parent", ""))


def _is_sealed(backend: Backend, path: str) -> bool:
    try:
        return bool(backend.attributes(path).get("sealed"))
    except DamagedError:
        return False


def _half_texts(store: Store) -> Iterator[Garbage]:
    """Text sets whose writing was cut short: their attributes are written last."""
    backend = store.backend
    for folder in sorted(backend.place.folders("texts")):
        if not has_texts(backend, folder):
            yield _garbage(backend, f"texts/{folder}", "text set cut short")


def _half_splits(store: Store) -> Iterator[Garbage]:
    """Splits whose writing was cut short: their attributes are written last."""
    backend = store.backend
    for dataset in backend.children("splits"):
        whole = split_names(Dataset(store, dataset))
        for name in set(backend.children(f"splits/{dataset}")).difference(whole):
            yield _garbage(backend, f"splits/{dataset}/{name}", "split cut short")


def _half_removed(backend: Backend) -> Iterator[Garbage]:
    """What a removal left that was killed where nothing can be renamed away: its group goes first.

    A folder beside the store's groups that holds none of their arrays is another's.
    """
    for kind, arrays in _ARRAYS.items():
        for folder in sorted(backend.place.folders(kind)):
            inner = sorted(backend.place.folders(f"{kind}/{folder}")) if kind in _NESTED else [""]
            for name in inner:
                path = f"{kind}/{folder}/{name}".rstrip("/")
                is_ours = any(backend.exists(f"{path}/{array}") for array in arrays)
                if is_ours and not backend.exists(path):
                    yield _garbage(backend, path, "what a removal left")


def _half_similarities(store: Store) -> Iterator[Garbage]:
    """Cosines whose writing was cut short before their group was there."""
    backend = store.backend
    for dataset in backend.children("features"):
        for feature_id in backend.children(f"features/{dataset}"):
            path = f"features/{dataset}/{feature_id}"
            whole = similarity_ids(backend, path)
            for name in sorted(backend.place.folders(f"{path}/{SIMILARITIES}")):
                if name not in whole:
                    yield _garbage(backend, f"{path}/{SIMILARITIES}/{name}", "cosines cut short")


_HALVES = {"texts": _half_texts, "splits": _half_splits, "features": _half_similarities}


def _leftovers(backend: Backend) -> Iterator[Garbage]:
    for key in leftovers(backend):
        yield _garbage(backend, key, "left half written by a stopped run")


def _garbage(backend: Backend, where: str, what: str, *, is_set: bool = False) -> Garbage:
    size = sum(file.size_bytes for file in backend.place.files(where))
    return Garbage(where=where, what=what, size_bytes=size, is_set=is_set)
