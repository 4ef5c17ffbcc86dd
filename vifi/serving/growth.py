"""Whether a store has grown since a page opened it: a few small files are read to tell."""

import logging
import time
from collections.abc import Iterator
from threading import Lock

from harness.retrieval.indexing.bundle_files import SETTINGS
from vifistore.errors import VifiError
from vifistore.store.store import Store

logger = logging.getLogger("vifi")

LOOK_SECONDS = 3.0
"""A store is looked at no more often."""

# What lies in it has changed where one of these has.
Stamp = tuple[object, ...]


class Growth:
    """The state of a store that was seen last."""

    def __init__(self, store: Store) -> None:
        self._store, self._lock = store, Lock()
        self._stamp = stamp_of(store)
        self._looked = time.monotonic()

    def is_new(self) -> bool:
        """Whether the store is another one than it was when this was asked last; no, too, where it
        was asked a moment ago, or the store cannot be read now."""
        with self._lock:
            now = time.monotonic()
            if now - self._looked < LOOK_SECONDS:
                return False
            self._looked = now
            try:
                stamp = stamp_of(self._store)
            except (VifiError, OSError) as error:
                logger.debug("the store is shown as it was: %s", error)
                return False
            is_other, self._stamp = stamp != self._stamp, stamp
            return is_other


def stamp_of(store: Store) -> Stamp:
    """What is another one once videos, splits, names, embeddings or indexes are; of a set that is
    being extracted, once it is complete."""
    return tuple(_facts(store))


def _facts(store: Store) -> Iterator[object]:
    for name in store.datasets():
        dataset = store.dataset(name)
        yield name, dataset.backend.attributes(dataset.path), dataset.splits()
        yield sorted((known.name, known.id) for known in dataset.names())
        for feature_id in dataset.feature_ids():
            yield feature_id, dataset.features(feature_id).sealed
    folder = store.cache_folder / "indexes"
    # Flat ones are made by who searches; others of the vectors of videos are folders of their own.
    yield sorted(str(path) for path in folder.glob("*/*/*") if not path.name.endswith("-flat"))
    yield sorted((str(path), path.stat().st_mtime_ns) for path in folder.glob(f"*/*/*/{SETTINGS}"))
