"""What a user may take out of a store: what goes with it, and what needs it.

found = removals(store, ["ucf101/old", "splits/ucf101/test"])
remove_all(store, found)
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vifistore.errors import UnknownNameError, UsageError, short
from vifistore.store.dataset import Dataset
from vifistore.store.key_value.disk import clear_disk_errors
from vifistore.store.removing.removal import clear_removed, locked_set, remove_group
from vifistore.store.similarities import similarity_ids
from vifistore.store.store import Store

# First what only points at something, last the table that all of a dataset hangs on.
_WORDS = {
    "names": "name",
    "features": "feature set",
    "splits": "split",
    "captions": "caption",
    "texts": "text set",
    "videos": "video",
}
KINDS = tuple(_WORDS)


@dataclass(frozen=True, kw_only=True)
class Removal:
    """One thing to take out of a store."""

    where: str
    """Path within the store."""
    what: str
    size_bytes: int
    needed_by: list[str] = field(default_factory=list)
    """What depends on it and stays."""


def removals(store: Store, asked: Sequence[str]) -> list[Removal]:
    """What has to go for what is asked, in the order in which it goes.

    Each is a path within the store (`features/ucf101/vifi-clip`, by name or id), a dataset, or
    `DATASET/NAME` of a split or a feature set. A set that is asked for by a name takes that name
    with it. Raises UnknownNameError for what is not there, UsageError for what could be two things.
    """
    paths = {path: None for what in asked for path in _paths_of(store, what.strip("/"))}
    # What lies within another of them goes with it.
    paths = [p for p in paths if not any(p.startswith(f"{other}/") for other in paths)]
    gone = set(paths)
    found = [_removal(store, path, gone) for path in paths]
    return sorted(found, key=lambda removal: KINDS.index(removal.where.split("/")[0]))


def with_names(store: Store, found: Sequence[Removal]) -> list[Removal]:
    """The same with every name of the feature sets: no name may stand for nothing."""
    further = [
        Removal(where=path, what="name", size_bytes=0)
        for removal in found
        for path in _names_of(store, removal.where)
        if path not in {known.where for known in found}
    ]
    return [*further, *found]


def remove_all(store: Store, found: Sequence[Removal]) -> None:
    """Remove all of it. Raises and removes nothing, if some is being written."""
    backend = store.backend
    clear_removed(backend)
    with contextlib.ExitStack() as held, clear_disk_errors(backend.folder):
        for path in (path for removal in found for path in _sets_below(store, removal.where)):
            held.enter_context(locked_set(backend, path))
        for removal in found:
            remove_group(backend, removal.where)


def _paths_of(store: Store, what: str) -> list[str]:
    """Paths of what is asked for, names first."""
    if {"", ".", ".."} & set(what.split("/")):
        raise UsageError(
            f"{short(what)!r} names nothing in a store; give a dataset, DATASET/NAME, or a path "
            "such as splits/DATASET/NAME"
        )
    kind, _, rest = what.partition("/")
    if kind in KINDS:
        return _of_kind(store, kind, rest)
    if kind in store.datasets():
        return (
            _of_dataset(store.dataset(kind), rest) if rest else _whole_dataset(store.dataset(kind))
        )
    if not rest and store.backend.exists(f"texts/{what}"):
        return [f"texts/{what}"]
    remedy = "Give a dataset, DATASET/NAME, or a path such as splits/DATASET/NAME or texts/ID."
    raise UnknownNameError("dataset or text set", what, store.datasets(), remedy)


def _of_kind(store: Store, kind: str, rest: str) -> list[str]:
    dataset, _, name = rest.partition("/")
    if kind == "texts":
        store.texts(rest)
        return [f"texts/{rest}"]
    if kind == "videos" and not name:
        return _whole_dataset(store.dataset(dataset))
    if kind == "features":
        features = store.features(dataset, name)
        named = [] if name == features.id else [f"names/{dataset}/{name}"]
        return [*named, features.path]
    path = f"{kind}/{rest}".rstrip("/")
    depth = 1 if kind == "captions" else 2
    above, _, last = path.rpartition("/")
    if path.count("/") != depth or last not in (known := store.backend.children(above)):
        known = store.backend.children(above) if path.count("/") == depth else ()
        raise UnknownNameError(kind, rest, known, f"Give {kind}/DATASET" + "/NAME" * (depth - 1))
    return [path]


def _of_dataset(dataset: Dataset, name: str) -> list[str]:
    """The split, or the feature set, that a name of a dataset stands for."""
    splits, names = dataset.splits(), {known.name for known in dataset.names()}
    known = {"splits": splits, "features": names.union(dataset.feature_ids())}
    kinds = [kind for kind, those in known.items() if name in those]
    where = dataset.name
    if len(kinds) > 1:
        raise UsageError(
            f"{where} has a split and a feature set called {name!r}; give "
            f"splits/{where}/{name} or features/{where}/{name}"
        )
    if not kinds:
        raise UnknownNameError(f"split or feature set of {where}", name, [*splits, *names])
    return _of_kind(dataset.store, kinds[0], f"{where}/{name}")


def _whole_dataset(dataset: Dataset) -> list[str]:
    dataset.root()
    folders = [f"{kind}/{dataset.name}" for kind in KINDS if kind != "texts"]
    return [folder for folder in folders if any(dataset.backend.place.files(folder))]


def _removal(store: Store, path: str, gone: set[str]) -> Removal:
    kind, *parts = path.split("/")
    is_one = len(parts) == 2 or kind in ("texts", "captions")
    needed_by: list[str] = []
    if kind == "features" and is_one:
        needed_by = _needs_of_set(Dataset(store, parts[0]), parts[1], gone)
    elif kind == "splits" and is_one:
        needed_by = [
            f"{who}, trained on it" for who in trained_on_split(Dataset(store, parts[0]), parts[1])
        ]
    elif kind == "texts":
        needed_by = [f"cosines of {where}" for where in sets_with_cosines(store, parts[0])]
    return Removal(
        where=path,
        what=_WORDS[kind] if is_one else f"all {_WORDS[kind]}s of {parts[0]}",
        size_bytes=sum(file.size_bytes for file in store.backend.place.files(path)),
        needed_by=needed_by,
    )


def _needs_of_set(dataset: Dataset, feature_id: str, gone: set[str]) -> list[str]:
    """Names that are not gone as well, and sets that were derived from it."""
    names = _names_of(dataset.store, dataset.feature_path(feature_id))
    found = [f"its name {path.rpartition('/')[2]}" for path in names if path not in gone]
    for other in dataset.feature_ids():
        features = dataset.features(other)
        if features.parent == feature_id and features.path not in gone:
            found.append(f"{(features.names or [other])[0]}, derived from it")
    return found


def sets_with_cosines(store: Store, texts: str) -> list[str]:
    """Feature sets, as DATASET/NAME, that keep cosines with a text set: they go with these only."""
    found = []
    for dataset in map(store.dataset, store.datasets()):
        for features in map(dataset.features, dataset.feature_ids()):
            if texts in similarity_ids(store.backend, features.path):
                found.append(f"{dataset.name}/{(features.names or [features.id])[0]}")
    return found


def trained_on_split(dataset: Dataset, name: str) -> list[str]:
    """Checkpoints that say they were trained on it: scores on it are held against its videos."""
    found = []
    for checkpoint in dataset.store.checkpoints():
        settings = checkpoint["settings"] or {}
        parts = [*(checkpoint.get("tuned_on") or []), settings.get("trained_on")]
        if any(
            isinstance(part, Mapping)
            and (part.get("dataset"), part.get("split")) == (dataset.name, name)
            for part in parts
        ):
            found.append(f"checkpoint {checkpoint['names'][0]}")
    return found


def _names_of(store: Store, where: str) -> list[str]:
    """Paths of the names of a feature set; none of anything else."""
    kind, dataset, *name = where.split("/") if where.count("/") else (where, "")
    if kind != "features" or not name:
        return []
    return [
        f"names/{dataset}/{known.name}"
        for known in Dataset(store, dataset).names()
        if known.id == name[0]
    ]


def _sets_below(store: Store, where: str) -> list[str]:
    """Paths of the feature sets that go with it."""
    kind, dataset, *name = where.split("/") if where.count("/") else (where, "")
    if kind != "features":
        return []
    ids = name or store.backend.children(where)
    return [f"features/{dataset}/{feature_id}" for feature_id in ids]
