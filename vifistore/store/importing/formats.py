"""`vifi import`: opens what is given by its format, and writes it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from vifistore.errors import UnknownNameError, UsageError
from vifistore.store.checkpoints import find_checkpoint
from vifistore.store.features import Features
from vifistore.store.importing.clip_retrieval import open_clip_retrieval
from vifistore.store.importing.hdf5 import open_hdf5
from vifistore.store.importing.import_source import ImportSource
from vifistore.store.importing.npy_array import open_npy_array, read_ids
from vifistore.store.importing.npy_folder import open_npy_folder
from vifistore.store.importing.parquet import open_parquet
from vifistore.store.importing.similarity_copy import copy_similarities
from vifistore.store.importing.store_copy import (
    choose_features,
    copy_checkpoint,
    copy_lists,
    open_features,
    parents_first,
)
from vifistore.store.importing.writing import ImportReport, Target, check_source, write_source
from vifistore.store.schema import check_name
from vifistore.store.store import Store, create_store, find_store

Format = Literal["hdf5", "npy", "clip-retrieval", "parquet", "zarr"]


@dataclass(frozen=True, kw_only=True)
class ImportSettings:
    """What to import, and as what."""

    format: Format | None = None
    """hdf5, zarr: a feature set of vifi export, with its recipe. npy: an array [video frame dim]
    or [video dim] with --ids, or a folder as video_features writes it. clip-retrieval: its output
    folder. parquet: columns id and embedding."""
    dataset: str
    """Dataset of the videos, made if it is new; rows are found by their ids."""
    name: str = ""
    """Name of the feature set. Default: the one it was exported under, else the file's."""
    ids: Path | None = None
    """npy array: text file with the id of each row, one per line."""
    features: str = ""
    """zarr: which feature set of that store. Default: the only one."""
    checkpoint: str = ""
    """Checkpoint of this store whose text tower scores embeddings made elsewhere: its name, its
    digest, or a feature set of it."""
    root: str = ""
    """Folder of the videos, if the dataset is new."""


def import_features(
    location: str | Path, path: str | Path, settings: ImportSettings
) -> ImportReport:
    """Import the file or folder `path` into the store at `location`, which is made if need be.
    Stores may be in an object store.

    Everything is checked before anything is written. Raises UsageError or DamagedError with what
    is wrong with the file, UnknownNameError for an unknown checkpoint or feature set.
    """
    check_name("dataset", settings.dataset)
    store = find_store(location)
    other = find_store(path) if settings.format == "zarr" else None
    if other:
        return _import_copy(location, store, other, settings)
    source = open_source(Path(path), settings, known_ids(store, settings.dataset))
    target = target_of(store, source, settings)
    check_source(store, source, target)
    return write_source(create_store(location), source, target)


def known_ids(store: Store | None, dataset: str) -> list[str]:
    """Ids of the videos of a dataset; none where it is new."""
    if store is None or dataset not in store.datasets():
        return []
    return store.dataset(dataset).column("id").tolist()


def open_source(
    path: Path, settings: ImportSettings, known: Sequence[str], listed: Sequence[str] = ()
) -> ImportSource:
    """Open a file or folder of any format but zarr.

    `known` are the ids of the dataset, `listed` those of an array's rows where there is no --ids.
    Raises UsageError with what is wrong with the file.
    """
    if settings.format == "zarr" or not path.exists():
        raise UsageError(f"there is nothing at {path}; give the file or folder to import")
    if settings.format is None:
        raise UsageError(f"--format is missing; say what {path} is, see vifi import --help")
    if settings.format == "npy" and path.is_dir():
        return open_npy_folder(path, known)
    if settings.format == "npy":
        ids = read_ids(settings.ids) if settings.ids else listed
        return open_npy_array(path, ids, str(settings.ids or "--table"))
    return _OPEN[settings.format](path)


_OPEN: dict[str, Callable[[Path], ImportSource]] = {
    "hdf5": open_hdf5,
    "clip-retrieval": open_clip_retrieval,
    "parquet": open_parquet,
}


def _import_copy(
    location: str | Path, store: Store | None, other: Store, settings: ImportSettings
) -> ImportReport:
    wanted = choose_features(other, settings.dataset, settings.features)
    is_new = store is None or settings.dataset not in store.datasets()
    copies = []
    for features in parents_first(wanted):
        source = open_features(features)
        target = replace(target_of(store, source, settings), checkpoint=features.checkpoint)
        if features.id != wanted.id:
            target = replace(target, name=_free_name(store, settings.dataset, features))
        check_source(store, source, target)
        copies.append((features, source, target))
    store = create_store(location)
    reports = []
    for features, source, target in copies:
        if target.checkpoint:
            copy_checkpoint(other, store, target.checkpoint)
        reports.append(write_source(store, source, target))
        copy = store.dataset(target.dataset).features(reports[-1].id)
        copy_similarities(features, copy)
    if is_new:
        copy_lists(wanted.dataset, store.dataset(settings.dataset))
    return reports[-1]


def _free_name(store: Store | None, dataset: str, parent: Features) -> str:
    """A name that a parent which comes along can have; empty where they all are taken."""
    taken = store.backend.children(f"names/{dataset}") if store else []
    return next((name for name in parent.names if name not in taken), "")


def target_of(store: Store | None, source: ImportSource, settings: ImportSettings) -> Target:
    """Where a source goes. Raises UnknownNameError for an unknown checkpoint."""
    checkpoint = _checkpoint(store, source, settings)
    name = settings.name or (source.names[0] if source.names else default_name(source.path))
    return Target(dataset=settings.dataset, name=name, checkpoint=checkpoint, root=settings.root)


def _checkpoint(store: Store | None, source: ImportSource, settings: ImportSettings) -> str:
    """Digest of the checkpoint to name the set under, "" for none."""
    if settings.checkpoint:
        if store is None:
            raise UnknownNameError("checkpoint", settings.checkpoint, ())
        return find_checkpoint(store.new_dataset(settings.dataset), settings.checkpoint)["digest"]
    # What the file says of its checkpoint is of use only where that one is known.
    known = store.backend.children("checkpoints") if store else ()
    return source.checkpoint if source.checkpoint in known else ""


def default_name(path: Path | str) -> str:
    """A name for what comes from a path or URL: its own, without what no name may hold."""
    stem = Path(path).resolve().stem
    return re.sub(r"[^A-Za-z0-9_.@+=-]", "-", stem).lstrip(".@+=-") or "imported"
