"""The store: one object that finds everything in it."""

from pathlib import Path
from typing import TYPE_CHECKING

from vifistore.errors import DamagedError, StoreError, UsageError, shell
from vifistore.store.backend import Backend
from vifistore.store.checkpoints import list_checkpoints, read_checkpoint, read_identity
from vifistore.store.disk import clear_disk_errors
from vifistore.store.features import Features
from vifistore.store.fields import read_fields
from vifistore.store.identity import Identity
from vifistore.store.leftovers import clear_leftovers
from vifistore.store.schema import SCHEMA_VERSION
from vifistore.store.tables import (
    ALL_VIDEOS,
    Split,
    check_dataset,
    labelled_split,
    read_captions,
    read_split,
    read_videos,
    split_names,
)
from vifistore.store.texts import Texts, list_texts, read_texts

if TYPE_CHECKING:
    import pandas as pd


class Store:
    """A store of videos, splits, checkpoints, text embeddings and feature sets."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @property
    def path(self) -> Path | str:
        """Folder of the store, or its URL in an object store; `open_store` takes either."""
        return self.backend.folder

    def datasets(self) -> list[str]:
        """Names of the datasets."""
        return self.backend.children("videos")

    def videos(self, dataset: str) -> "pd.DataFrame":
        """The videos of a dataset, a row each: id, path, label, num_frames, fps,
        duration_seconds, width, height (pixels), size_bytes, mtime_ns.

        Raises UnknownNameError if there is no such dataset.
        """
        return read_videos(self.backend, dataset)

    def class_names(self, dataset: str) -> list[str]:
        """Names of the dataset's classes; empty if no video is labelled."""
        check_dataset(self.backend, dataset)
        kinds = {"class_names": list}
        return list(read_fields(self.backend, f"videos/{dataset}", kinds)["class_names"])

    def root(self, dataset: str) -> Path:
        """Folder that the paths of the dataset's videos are relative to."""
        check_dataset(self.backend, dataset)
        return Path(read_fields(self.backend, f"videos/{dataset}", {"root": str})["root"])

    def splits(self, dataset: str) -> list[str]:
        """Names of the dataset's splits."""
        check_dataset(self.backend, dataset)
        return split_names(self.backend, dataset)

    def split(self, dataset: str, name: str = "") -> Split:
        """A split by name; with no name or `all`, every labelled video of the dataset.

        Raises UnknownNameError for an unknown name, UsageError if no video is labelled.
        """
        if self.is_everything(dataset, name):
            return labelled_split(self.videos(dataset), self.class_names(dataset))
        return read_split(self.backend, dataset, name)

    def is_everything(self, dataset: str, split: str) -> bool:
        """Whether a split's name stands for all videos: empty, or `all` where none is called so."""
        return not split or (split == ALL_VIDEOS and ALL_VIDEOS not in self.splits(dataset))

    def captions(self, dataset: str) -> "pd.DataFrame":
        """The captions of a dataset: columns `row` and `text`, many per video."""
        check_dataset(self.backend, dataset)
        return read_captions(self.backend, dataset)

    def features(self, dataset: str, name_or_id: str) -> Features:
        """A feature set by name or id. Raises UnknownNameError naming what exists."""
        check_dataset(self.backend, dataset)
        return Features(self.backend, dataset, name_or_id)

    def feature_ids(self, dataset: str) -> list[str]:
        """Ids of the dataset's feature sets, sealed or not."""
        check_dataset(self.backend, dataset)
        return self.backend.children(f"features/{dataset}")

    def texts(self, name: str) -> Texts:
        """A text set by its id. Raises UnknownNameError naming those there are."""
        return read_texts(self.backend, name)

    def find_texts(self, **fields: object) -> list[dict]:
        """Attributes of the text sets whose fields equal those given, with their `id`."""
        return [
            texts
            for texts in list_texts(self.backend)
            if all(texts[key] == value for key, value in fields.items())
        ]

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
        backend.make_root({"vifistore": {"schema": SCHEMA_VERSION}})
    return open_store(location, mode="a")


def _anything_at(backend: Backend) -> bool:
    """Whether there is something at the store's location, be it a store or not."""
    folder = backend.folder
    if isinstance(folder, str):
        return backend.exists("")
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
    if found.get("schema") != SCHEMA_VERSION:
        raise StoreError(
            f"{backend.folder} has schema {found.get('schema')}, this program reads "
            f"{SCHEMA_VERSION}; install the vifistore that wrote it"
        )
