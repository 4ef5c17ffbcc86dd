"""The store: one object that finds everything in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vifistore.errors import DamagedError, StoreError, UnknownNameError, UsageError, shell
from vifistore.files import file_in_the_way
from vifistore.store.checkpoints import (
    list_checkpoints,
    read_checkpoint,
    read_identity,
    register_checkpoint,
)
from vifistore.store.dataset import Dataset
from vifistore.store.features import Features
from vifistore.store.identity import Identity
from vifistore.store.key_value.disk import clear_disk_errors
from vifistore.store.leftovers import clear_leftovers
from vifistore.store.schema import OLDEST_SCHEMA, SCHEMA_VERSION, check_name
from vifistore.store.texts import Texts, has_texts, list_texts, read_texts, write_texts
from vifistore.store.zarr_format.backend import Backend

if TYPE_CHECKING:
    import pandas as pd


class Store:
    """A store of videos, splits, checkpoints, text embeddings and feature sets."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def __repr__(self) -> str:
        """Its path and datasets."""
        return f"<Store {self.path}: {', '.join(self.datasets()) or 'no dataset'}>"

    @property
    def path(self) -> Path | str:
        """Folder of the store, or its URL in an object store; `open_store` takes either."""
        return self.backend.folder

    @property
    def schema(self) -> int:
        """The oldest schema that a reader of this store has to know."""
        return self.backend.attributes("")["vifistore"]["schema"]

    @property
    def cache_folder(self) -> Path:
        """Folder of what can be made again: locks, indexes, thumbnails, decoded frames."""
        return self.backend.cache_folder

    def datasets(self) -> list[str]:
        """Names of the datasets."""
        return self.backend.children("videos")

    def dataset(self, name: str) -> Dataset:
        """A dataset by name. Raises UnknownNameError naming those there are."""
        dataset = Dataset(self, name)
        if not dataset.exists:
            remedy = f"Add one with: {shell('vifi', 'scan', self.path)} SOURCE --dataset NAME"
            raise UnknownNameError("dataset", name, self.datasets(), remedy)
        return dataset

    def new_dataset(self, name: str) -> Dataset:
        """A dataset that may still have to be made. Raises UsageError for what cannot name one."""
        return Dataset(self, check_name("dataset", name))

    def videos(self, dataset: str) -> "pd.DataFrame":
        """The videos of a dataset, a row each; see `Dataset.videos`.

        Raises UnknownNameError if there is no such dataset.
        """
        return self.dataset(dataset).videos()

    def features(self, dataset: str, name_or_id: str) -> Features:
        """A feature set by name or id. Raises UnknownNameError naming what exists."""
        return self.dataset(dataset).features(name_or_id)

    def add_texts(self, fields: Mapping, embeddings: np.ndarray) -> str:
        """Keep text embeddings [class prompt dim] made as `fields` say; return their id."""
        return write_texts(self.backend, fields, embeddings)

    def has_texts(self, name: str) -> bool:
        """Whether there is a text set of that id."""
        return has_texts(self.backend, name)

    def texts(self, name: str) -> Texts:
        """A text set by its id. Raises UnknownNameError naming those there are."""
        return read_texts(self.backend, name)

    def find_texts(self, **fields: object) -> list[dict]:
        """Attributes of the text sets whose fields equal those given, with their `id`; None is
        that of a field that a set does not have."""
        return [
            texts
            for texts in list_texts(self.backend)
            if all(texts.get(key) == value for key, value in fields.items())
        ]

    def add_checkpoint(self, checkpoint: Mapping, identity: Identity | None = None) -> str:
        """Record a checkpoint and what it was trained with, and return its digest; see
        `register_checkpoint`."""
        return register_checkpoint(self.backend, checkpoint, identity)

    def checkpoint(self, digest: str) -> dict:
        """A checkpoint by its digest. Raises UnknownNameError naming those there are."""
        return read_checkpoint(self.backend, digest)

    def identity(self, digest: str) -> Identity:
        """What a checkpoint was trained with and on. Raises as `checkpoint`, and DamagedError."""
        return read_identity(self.backend, digest)

    def checkpoints(self) -> list[dict]:
        """Every checkpoint of the store."""
        return list_checkpoints(self.backend)


def open_store(location: str | Path, mode: str = "r") -> Store:
    """Open a store.

    Parameters
    ----------
    location
        Path of the store's folder, or a URL: `s3://bucket/S.zarr`, `gs://...`, `az://...`.
    mode
        `r` reads; `a` also writes, and removes what stopped runs have left half written.

    Raises
    ------
    StoreError
        If nothing is there, something that is not a store of this schema, or a URL that does not
        answer.
    """
    if mode not in ("r", "a"):
        raise UsageError(f"mode {mode!r} is unknown; use 'r' to read or 'a' to write")
    backend = Backend(location, writable=mode == "a")
    if not _anything_at(backend):
        raise StoreError(
            f"there is no store at {backend.folder}; make one with: "
            f"{shell('vifi', 'scan', backend.folder)} SOURCE --dataset D"
        )
    _check_schema(backend)
    if backend.writable:
        with clear_disk_errors(backend.folder):
            clear_leftovers(backend)
    return Store(backend)


def find_store(location: str | Path, mode: str = "r") -> Store | None:
    """Open the store at `location`, as `open_store` does; None if there is nothing."""
    is_there = _anything_at(Backend(location, writable=False))
    return open_store(location, mode) if is_there else None


def create_store(location: str | Path) -> Store:
    """Open the store at `location` for writing; make an empty one if nothing is there.

    Raises StoreError if something else is there, or a URL does not answer.
    """
    backend = Backend(location, writable=True)
    if not _anything_at(backend):
        backend.make_group("", {"vifistore": {"schema": OLDEST_SCHEMA}})
    return open_store(location, mode="a")


def _anything_at(backend: Backend) -> bool:
    """Whether there is something at the store's location, be it a store or not."""
    folder = backend.folder
    if isinstance(folder, str):
        return backend.exists("")
    if not folder.exists() and (file := file_in_the_way(folder)):
        raise StoreError(f"{folder} cannot be made: {file} is no folder; give another path")
    return folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))


def _check_schema(backend: Backend) -> None:
    try:
        attributes = backend.attributes("")
    except DamagedError as error:
        raise StoreError(
            f"{backend.folder} is not a zarr store; give the path of one made by vifi scan"
        ) from error
    found = attributes.get("vifistore")
    if not isinstance(found, dict):
        raise StoreError(
            f"{backend.folder} is a zarr store that something else made; give the path of one "
            "made by vifi scan"
        )
    version = found.get("schema")
    if type(version) is not int or not OLDEST_SCHEMA <= version <= SCHEMA_VERSION:
        raise StoreError(
            f"{backend.folder} has schema {version!r:.40}, this program reads {OLDEST_SCHEMA} to "
            f"{SCHEMA_VERSION}; install the vifistore that wrote it"
        )
