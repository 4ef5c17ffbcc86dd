"""The retrieval gallery of a results folder: queries, hits, thumbnails, right or wrong."""

import logging
from pathlib import Path

from harness.retrieval.hits import Hit
from harness.retrieval.judging import is_right
from reports.artefacts import FOLDER
from reports.page.extras import thumbnail_path
from vifi.answers import Answer
from vifi.artefacts import draw_picture, update_artefact
from vifistore.errors import DamagedError, DecodeError, StoreError
from vifistore.store.store import Store

logger = logging.getLogger("vifi")

_NAME = "gallery"
_KEY = ("query", "kind", "dataset", "features")


def add_to_gallery(results: Path, store: Store, features: str, answers: list[Answer]) -> None:
    """Add answers to the gallery; one of the same query, kind, dataset and features is replaced.

    Raises DamagedError if the gallery that is there cannot be read.
    """
    pictures = Pictures(store, results)
    new = [_entry(answer, features, pictures) for answer in answers]

    def merge(known: list) -> list:
        try:
            return list({_key(entry): entry for entry in (*known, *new)}.values())
        except (TypeError, KeyError) as error:
            path = results / FOLDER / f"{_NAME}.json"
            raise DamagedError(f"{path} is not a gallery ({error}); remove it") from error

    update_artefact(results, _NAME, merge)


class Pictures:
    """Thumbnails in a results folder, made when they are asked for."""

    def __init__(self, store: Store, results: Path) -> None:
        self._store = store
        self._results = results

    def of_video(self, dataset: str, row: int) -> str | None:
        """Path of the middle frame's picture below the results; None if it cannot be read."""
        paths = self._store.dataset(dataset).column("path")
        return self._drawn(dataset, row, str(paths[row]))

    def of_hit(self, hit: Hit, *, is_moment: bool) -> str | None:
        """The picture of a video, or of the middle of a moment."""
        seconds = (hit.start_seconds + hit.end_seconds) / 2 if is_moment else None
        return self._drawn(hit.dataset, hit.row, hit.path, seconds)

    def _drawn(self, dataset: str, row: int, path: str, seconds: float | None = None) -> str | None:
        place = thumbnail_path(dataset, row, seconds)
        try:
            draw_picture(self._store.dataset(dataset), path, self._results / place, seconds)
        except (DecodeError, StoreError) as error:
            logger.warning("%s has no picture: %s", path, error)
            return None
        return place


def _entry(answer: Answer, features: str, pictures: Pictures) -> dict:
    return {
        "query": answer.query,
        "kind": answer.kind,
        "dataset": "+".join(sorted({hit.dataset for hit in answer.hits})),
        "features": features,
        "thumbnail": pictures.of_video(*answer.video) if answer.video else None,
        "hits": [
            {
                **hit.as_dict(),
                "is_right": is_right(hit.label, answer.wanted),
                "thumbnail": pictures.of_hit(hit, is_moment=answer.has_moments),
            }
            for hit in answer.hits
        ],
    }


def _key(entry: dict) -> tuple:
    return tuple(entry[name] for name in _KEY)
