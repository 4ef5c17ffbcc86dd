"""What the page asks for, kept warm: searchers, text encoders, maps, and the videos' files."""

import logging
import os
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock, Thread

from harness.retrieval.hits import Hit, VideoTable
from harness.retrieval.search import Searcher
from vifi.queries import query_encoder
from vifistore.errors import DecodeError, UnknownNameError, UsageError, VifiError
from vifistore.extract.queries import TextEncoder
from vifistore.frames.image_folder import list_images
from vifistore.frames.thumbnails import write_thumbnail
from vifistore.store.names import read_names
from vifistore.store.store import Store
from vifistore.videos.extensions import extension, is_video

logger = logging.getLogger("vifi")

# Containers that browsers play, as far as their codecs allow.
PLAYABLE = frozenset(("mp4", "m4v", "mov", "webm", "ogv"))
_THUMBNAIL_HEIGHT = 180
_KEPT_SEARCHERS = 64


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What is searched; empty fields do not narrow it down."""

    features: str = ""
    dataset: str = ""
    split: str = ""
    label: str = ""


class ForbiddenError(UsageError):
    """A file that is none of the store's videos."""


class NotThereError(UsageError):
    """A row that the dataset does not have, or a file that is gone."""


class Library:
    """One store, opened for reading."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.features = ""
        self.searcher = lru_cache(_KEPT_SEARCHERS)(self._searcher)
        self._encoder = lru_cache(4)(self._new_encoder)
        self._table = lru_cache(None)(partial(VideoTable, store))
        # One at a time: two would decode the same video, and leave no core for the search.
        self._drawing = Lock()

    def scope(self, features: str, dataset: str, split: str = "", label: str = "") -> Scope:
        """A scope, in the feature set that the page begins with if none is named."""
        return Scope(features=features or self.features, dataset=dataset, split=split, label=label)

    def _searcher(self, scope: Scope) -> Searcher:
        return Searcher(
            self.store, scope.features, dataset=scope.dataset, split=scope.split, label=scope.label
        )

    def encoder(self, scope: Scope) -> TextEncoder:
        """The text encoder of a feature set, the same for all that share a text tower."""
        return self._encoder(self.searcher(scope).checkpoint["digest"])

    def _new_encoder(self, checkpoint: str) -> TextEncoder:
        return query_encoder(self.store, self.store.checkpoint(checkpoint))

    def start(self, features: str = "") -> None:
        """Choose the feature set that the page begins with, and read what its first query needs.

        Raises UnknownNameError for an unknown one, UsageError if the store has none.
        """
        names = [name for dataset in self.describe()["datasets"] for name in dataset["features"]]
        self.features = features or next(iter(names), "")
        scope = Scope(features=self.features)
        self.searcher(scope)
        Thread(target=self._warm_up, args=(scope,), daemon=True).start()

    def _warm_up(self, scope: Scope) -> None:
        try:
            self.by_words(scope, "warm up", 1)
        except VifiError as error:
            # Searching by videos may still work, and who asks in words is told the same.
            logger.warning("%s", error)

    def by_words(self, scope: Scope, words: str, k: int, *, frames: bool = False) -> list[Hit]:
        """The hits of a query in words: the same as `vifi search` prints."""
        searcher = self.searcher(scope)
        find = searcher.moments if frames else searcher.search
        (hits,) = find(self.encoder(scope)([words]), k)
        return hits

    def like(
        self, scope: Scope, dataset: str, row: int, k: int, *, frames: bool = False
    ) -> list[Hit]:
        """Videos like one of the store. Raises NotThereError for a row that is not there."""
        self._require_row(dataset, row)
        # The video itself need not be among those that are searched.
        vector = self.searcher(Scope(features=scope.features, dataset=dataset)).vector_of(
            dataset, row
        )
        searcher = self.searcher(scope)
        find = searcher.moments if frames else searcher.search
        (hits,) = find(vector, k, without=(dataset, row))
        return hits

    def describe(self) -> dict:
        """Datasets, their splits, labels and feature sets, for the page's menus."""
        return {
            "store": Path(str(self.store.path)).name,
            "features": self.features,
            "datasets": [
                {
                    "name": dataset,
                    "splits": self.store.splits(dataset),
                    "labels": self.store.class_names(dataset),
                    "features": sorted(
                        name.name for name in read_names(self.store.backend, dataset)
                    ),
                }
                for dataset in self.store.datasets()
            ],
        }

    def video_path(self, dataset: str, row: int) -> Path:
        """The file of a video, or the folder of its frames.

        Raises NotThereError for a row or a file that is not there, ForbiddenError for a path that
        leaves the dataset's folder or is no video.
        """
        self._require_row(dataset, row)
        name = str(self._table(dataset).paths[row])
        try:
            root = _resolved(self.store.root(dataset))
            # A link counts as what it points to: whoever wrote the table chose both.
            path = _resolved(root / name)
            is_frames = path != root and path.is_dir() and _frames_are_inside(path, root)
        except (OSError, ValueError) as error:
            raise NotThereError(f"{name} is gone; scan {dataset} again") from error
        if not path.is_relative_to(root) or not (is_frames or is_video(path.name)):
            raise ForbiddenError(f"{name} is no video in the folder of {dataset}")
        return path

    def is_playable(self, path: str) -> bool:
        """Whether browsers know the container of a video."""
        return extension(path) in PLAYABLE

    def thumbnail(self, dataset: str, row: int, seconds: float | None) -> Path:
        """A picture of a video, of its middle or of a moment; kept in the cache.

        Raises what `video_path` does, and UsageError for a video that cannot be decoded.
        """
        path = self.video_path(dataset, row)
        if seconds is not None:
            # Whole tenths, so that one video has so many pictures and no more.
            most = float(self._table(dataset).durations[row])
            seconds = round(min(max(seconds, 0.0), most), 1)
        name = str(row) if seconds is None else f"{row}-{round(1000 * seconds)}"
        folder = self.store.backend.cache_folder / "thumbnails" / dataset
        try:
            with self._drawing:
                return write_thumbnail(
                    path, folder / f"{name}.jpg", seconds, height=_THUMBNAIL_HEIGHT
                )
        except DecodeError as error:
            raise UsageError(f"{path.name} has no picture: {error}") from error

    def _require_row(self, dataset: str, row: int) -> None:
        if dataset not in (known := self.store.datasets()):
            raise UnknownNameError("dataset", dataset, known)
        if not 0 <= row < len(self._table(dataset).paths):
            raise NotThereError(
                f"{dataset} has {len(self._table(dataset).paths)} videos, numbered from 0; there "
                f"is no video {row}"
            )


def _resolved(path: Path) -> Path:
    # Path.resolve raises RuntimeError for links that go round in a circle, this an OSError.
    return Path(os.path.realpath(path, strict=True))


def _frames_are_inside(folder: Path, root: Path) -> bool:
    """Whether no frame of a folder is a link that leaves `root`."""
    return all(
        _resolved(image).is_relative_to(root) for image in list_images(folder) if image.is_symlink()
    )
