"""What the page asks for, kept warm: searchers, text encoders, maps, and the videos' files."""

import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock, Thread

import numpy as np

from harness.retrieval.filters import ANY_TIME, TimeFilter
from harness.retrieval.hits import VideoTable
from harness.retrieval.search import Searcher
from harness.timelines import Timelines
from vifi.searching.query_encoders import TextEncoder
from vifi.searching.query_words import query_encoder
from vifi.searching.video_files import NotThereError, video_file
from vifi.serving.footage_names import footage_name
from vifi.serving.growth import Growth
from vifistore.errors import DecodeError, UnknownNameError, UsageError, VifiError
from vifistore.files import read_regular
from vifistore.frames.bitstreams.shown_frames import seconds_before
from vifistore.frames.previews.thumbnails import thumbnail, write_thumbnail
from vifistore.sources.extensions import extension
from vifistore.sources.footage import Footage, LocalFile
from vifistore.store.dataset import Dataset
from vifistore.store.store import Store

logger = logging.getLogger("vifi")

# Containers that browsers play, as far as their codecs allow.
PLAYABLE = frozenset(("mp4", "m4v", "mov", "webm", "ogv"))
_THUMBNAIL_HEIGHT = 180
# Seconds that nobody notices.
_LATE = 0.2
# How far into a video whose length is not known a picture may be asked for.
_LONGEST_SECONDS = 86_400.0
_KEPT_SEARCHERS = 64
_KEPT_QUERIES = 256


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What is searched; empty fields do not narrow it down."""

    features: str = ""
    dataset: str = ""
    split: str = ""
    label: str = ""
    times: TimeFilter = ANY_TIME


class Library:
    """One store, opened for reading."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.features = ""
        self.dataset = ""
        self._encoder = lru_cache(4)(self._new_encoder)
        self._words = lru_cache(_KEPT_QUERIES)(self._new_words)
        self._growth = Growth(store)
        self._read_anew()
        self._late = lru_cache(_KEPT_QUERIES)(lambda _, footage: seconds_before(footage))
        # One at a time: two would decode the same video, and leave no core for the search.
        self._drawing = Lock()

    def _read_anew(self) -> None:
        """Keep nothing that was read of the store, but for what encodes words."""
        store = self.store
        self.searcher = lru_cache(_KEPT_SEARCHERS)(self._searcher)
        self._timelines = lru_cache(_KEPT_SEARCHERS)(self._new_timelines)
        self._table = lru_cache(None)(lambda name: VideoTable(store.dataset(name)))
        self._durations = lru_cache(None)(
            lambda name: store.dataset(name).column("duration_seconds")
        )

    def look(self) -> None:
        """Notice that the store has grown: what is asked from now on is answered from it as it is.

        It is looked at every few seconds at most.
        """
        if self._growth.is_new():
            logger.info("the store has changed; it is shown as it is now")
            self._read_anew()

    def scope(
        self,
        features: str,
        dataset: str,
        split: str = "",
        label: str = "",
        times: TimeFilter = ANY_TIME,
    ) -> Scope:
        """A scope, in the feature set that the page begins with if none is named."""
        chosen = {"features": features or self.features, "dataset": dataset, "split": split}
        return Scope(**chosen, label=label, times=times)

    def _searcher(self, scope: Scope) -> Searcher:
        if scope == (wide := Scope(features=scope.features, dataset=scope.dataset)):
            return Searcher(self.store, scope.features, dataset=scope.dataset, kind="auto")
        # Another filter needs no table and no index of its own.
        narrow = {"split": scope.split, "label": scope.label, "times": scope.times}
        return self.searcher(wide).narrowed(**narrow)

    def _new_encoder(self, checkpoint: str) -> TextEncoder:
        return query_encoder(self.store, self.store.checkpoint(checkpoint))

    def _new_words(self, checkpoint: str, words: str) -> np.ndarray:
        return self._encoder(checkpoint)([words])

    def start(self, features: str = "") -> None:
        """Choose what the page begins with, and read what its first query needs.

        Without `features` that is the first feature set. Where it stands for other embeddings in
        each dataset, the page begins with the first of these. Raises UnknownNameError for an
        unknown one, UsageError if the store has none.
        """
        datasets = self.describe()["datasets"]
        self.features = features or min((n for d in datasets for n in d["features"]), default="")
        try:
            searcher = self.searcher(Scope(features=self.features))
        except UnknownNameError:
            raise
        except UsageError:
            having = [d["name"] for d in datasets if self.features in d["features"]]
            if not having:
                raise
            self.dataset = having[0]
            searcher = self.searcher(Scope(features=self.features, dataset=self.dataset))
        # One without a name goes by its id.
        self.features = searcher.name
        scope = Scope(features=self.features, dataset=self.dataset)
        Thread(target=self._warm_up, args=(scope,), daemon=True).start()

    def _warm_up(self, scope: Scope) -> None:
        try:
            self.searcher(scope).search(self.words_vector(scope, "warm up"), 1)
        except (VifiError, OSError) as error:
            # Searching by videos may still work, and who asks in words is told the same.
            logger.warning("%s", error)

    def words_vector(self, scope: Scope, words: str) -> np.ndarray:
        """The embedding of a query in words, float32 [1 dim]."""
        return self._words(self.searcher(scope).checkpoint["digest"], words)

    def video_vector(self, scope: Scope, dataset: str, row: int) -> np.ndarray:
        """The embedding of a video of the store, which need not be among those that are searched,
        float32 [1 dim]. Raises NotThereError for a row that is not there."""
        self._require_row(dataset, row)
        searcher = self.searcher(Scope(features=scope.features, dataset=dataset))
        return np.atleast_2d(searcher.vector_of(dataset, row))

    def timelines(self, scope: Scope, dataset: str, row: int) -> Timelines:
        """Those of the feature set in the dataset of a row. Raises NotThereError for a row that is
        not there, UsageError for a feature set without frames."""
        self._require_row(dataset, row)
        return self._timelines(scope.features, dataset)

    def _new_timelines(self, features: str, dataset: str) -> Timelines:
        return Timelines(self.searcher(Scope(features=features, dataset=dataset)).sources[0])

    def describe(self) -> dict:
        """Datasets, their splits, labels and feature sets, for the page's menus."""
        return {
            "store": Path(str(self.store.path)).name,
            "features": self.features,
            "dataset": self.dataset,
            "datasets": [
                {
                    "name": dataset.name,
                    "splits": dataset.splits(),
                    "labels": dataset.class_names(),
                    "features": self._features_of(dataset),
                }
                for dataset in map(self.store.dataset, self.store.datasets())
            ],
        }

    def _features_of(self, dataset: Dataset) -> list[str]:
        """Names of the feature sets of a dataset, and the id that the page begins with."""
        names = {name.name for name in dataset.names()}
        return sorted(names | ({self.features} & set(dataset.feature_ids())))

    def footage(self, dataset: str, row: int) -> Footage:
        """The video of a row.

        Raises NotThereError for a row or a file that is not there, ForbiddenError for a path that
        leaves the dataset's folder or is no video.
        """
        self._require_row(dataset, row)
        return video_file(self._table(dataset).files, row, dataset)

    def duration(self, dataset: str, row: int) -> float | None:
        """Seconds of the file that a row lies in; None where they are not known."""
        seconds = float(self._durations(dataset)[row])
        return seconds if 0 < seconds < _LONGEST_SECONDS else None

    def is_playable(self, path: str) -> bool:
        """Whether browsers know the container of a video."""
        return extension(path) in PLAYABLE

    def begins_late(self, footage: Footage) -> bool:
        """Whether a file of this machine plays its sound for a while before it shows anything:
        moments are counted from the first frame, and a player's from the start of the file."""
        return isinstance(footage, LocalFile) and self._late(footage_name(footage), footage) > _LATE

    def thumbnail(self, dataset: str, row: int, seconds: float | None) -> bytes:
        """A JPEG picture of a row, of its middle or of a moment of its file; kept in the cache.

        Raises what `footage` does, and UsageError for a video that cannot be decoded.
        """
        footage = self.footage(dataset, row)
        table = self._table(dataset)
        if seconds is None:
            seconds = table.middle(row)
        else:
            # Whole tenths and the ends, so that one row has so many pictures and no more.
            begin, end = table.stretches[row]
            last = _LONGEST_SECONDS if np.isnan(end) else float(end)
            seconds = min(max(round(seconds, 1), float(begin)), last)
        folder = self.store.cache_folder / "thumbnails" / dataset
        target = folder / f"{_picture_name(footage, seconds)}.jpg"
        try:
            with self._drawing:
                return _kept(footage, target, seconds)
        except DecodeError as error:
            raise UsageError(f"{footage.name} has no picture: {error}") from error

    def _require_row(self, dataset: str, row: int) -> None:
        if dataset not in (known := self.store.datasets()):
            raise UnknownNameError("dataset", dataset, known)
        if not 0 <= row < len(self._table(dataset).paths):
            raise NotThereError(
                f"{dataset} has {len(self._table(dataset).paths)} videos, numbered from 0; there "
                f"is no video {row}"
            )


def _picture_name(footage: Footage, seconds: float | None) -> str:
    moment = "" if seconds is None else f"-{round(1000 * seconds)}"
    return f"{footage_name(footage)}{moment}"


def _kept(footage: Footage, target: Path, seconds: float | None) -> bytes:
    """The picture at `target`, made if there is none; only made where nothing can be kept."""
    try:
        return read_regular(write_thumbnail(footage, target, seconds, height=_THUMBNAIL_HEIGHT))
    except OSError as error:
        logger.debug("the picture is not kept: %s", error)
        return thumbnail(footage, seconds, height=_THUMBNAIL_HEIGHT)
