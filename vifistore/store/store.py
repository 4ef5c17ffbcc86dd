"""The store: one object that finds everything in it."""

from pathlib import Path

import pandas as pd
import zarr

from vifistore.errors import StoreError, UsageError
from vifistore.store.backend import DAMAGE, Backend
from vifistore.store.checkpoints import list_checkpoints, read_checkpoint
from vifistore.store.features import Features
from vifistore.store.schema import SCHEMA_VERSION
from vifistore.store.tables import (
    Split,
    check_dataset,
    labelled_split,
    read_captions,
    read_split,
    read_videos,
)
from vifistore.store.texts import Texts, list_texts, read_texts


class Store:
    """A store of videos, splits, checkpoints, text embeddings and feature sets."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @property
    def path(self) -> Path:
        """Folder of the store."""
        return self.backend.folder

    def datasets(self) -> list[str]:
        """Names of the datasets."""
        return self.backend.children("videos")

    def videos(self, dataset: str) -> pd.DataFrame:
        """The videos of a dataset, a row each: id, path, label, num_frames, fps,
        duration_seconds, width, height (pixels), size_bytes, mtime_ns.

        Raises UnknownNameError if there is no such dataset.
        """
        return read_videos(self.backend, dataset)

    def class_names(self, dataset: str) -> list[str]:
        """Names of the dataset's classes; empty if no video is labelled."""
        check_dataset(self.backend, dataset)
        return list(self.backend.attributes(f"videos/{dataset}")["class_names"])

    def root(self, dataset: str) -> Path:
        """Folder that the paths of the dataset's videos are relative to."""
        check_dataset(self.backend, dataset)
        return Path(self.backend.attributes(f"videos/{dataset}")["root"])

    def splits(self, dataset: str) -> list[str]:
        """Names of the dataset's splits."""
        check_dataset(self.backend, dataset)
        return self.backend.children(f"splits/{dataset}")

    def split(self, dataset: str, name: str = "") -> Split:
        """A split by name; with no name, every labelled video of the dataset.

        Raises UnknownNameError for an unknown name, UsageError if no video is labelled.
        """
        if name:
            return read_split(self.backend, dataset, name)
        return labelled_split(self.videos(dataset), self.class_names(dataset))

    def captions(self, dataset: str) -> pd.DataFrame:
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

    def checkpoints(self) -> list[dict]:
        """Every checkpoint of the store."""
        return list_checkpoints(self.backend)


def open_store(location: str | Path, mode: str = "r") -> Store:
    """Open a store.

    Parameters
    ----------
    location
        Path of the store's folder.
    mode
        `r` reads; `a` also writes.

    Raises
    ------
    StoreError
        If nothing is there, or something that is not a store of this schema.
    """
    if mode not in ("r", "a"):
        raise UsageError(f"mode {mode!r} is unknown; use 'r' to read or 'a' to write")
    folder = Path(location)
    if not folder.exists():
        raise StoreError(
            f"there is no store at {folder}; make one with: vifi scan {folder} SOURCE --dataset D"
        )
    backend = Backend(folder, writable=mode == "a")
    _check_schema(backend)
    return Store(backend)


def create_store(location: str | Path) -> Store:
    """Open the store at `location` for writing; make an empty one if nothing is there.

    Raises StoreError if something else is there.
    """
    folder = Path(location)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        Backend(folder, writable=True).make_root({"vifistore": {"schema": SCHEMA_VERSION}})
    return open_store(folder, mode="a")


def _check_schema(backend: Backend) -> None:
    try:
        attributes = dict(zarr.open_group(backend.folder, mode="r").attrs)
    except DAMAGE as error:
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
