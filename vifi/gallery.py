"""The retrieval gallery of a results folder: queries, hits, thumbnails, right or wrong."""

import json
import logging
from pathlib import Path

from harness.retrieval.hits import Hit
from harness.retrieval.judging import is_right
from reports.artefacts import FOLDER
from vifi.answers import Answer
from vifi.artefacts import write_artefact, write_thumbnails
from vifistore.errors import DamagedError, DecodeError
from vifistore.frames.thumbnails import write_thumbnail
from vifistore.store.store import Store

logger = logging.getLogger("vifi")

_NAME = "gallery"
_KEY = ("query", "kind", "dataset", "features")


def add_to_gallery(results: Path, store: Store, features: str, answers: list[Answer]) -> None:
    """Add answers to the gallery; one of the same query, kind, dataset and features is replaced.

    Raises DamagedError if the gallery that is there cannot be read.
    """
    pictures = Pictures(store, results)
    entries = {_key(entry): entry for entry in _read(results / FOLDER / f"{_NAME}.json")}
    for answer in answers:
        entry = _entry(answer, features, pictures)
        entries[_key(entry)] = entry
    write_artefact(results, _NAME, list(entries.values()))


class Pictures:
    """Thumbnails in a results folder, made when they are asked for."""

    def __init__(self, store: Store, results: Path) -> None:
        self._store = store
        self._results = results

    def of_video(self, dataset: str, row: int) -> str | None:
        """Path of the middle frame's picture below the results; None if it cannot be read."""
        return write_thumbnails(self._store, self._results, dataset, [row]).get(row)

    def of_hit(self, hit: Hit, *, is_moment: bool) -> str | None:
        """The picture of a video, or of the middle of a moment."""
        if not is_moment:
            return self.of_video(hit.dataset, hit.row)
        seconds = (hit.start_seconds + hit.end_seconds) / 2
        place = f"{FOLDER}/thumbnails/{hit.dataset}/{hit.row}-{round(1000 * seconds)}.jpg"
        path = self._store.root(hit.dataset) / hit.path
        try:
            write_thumbnail(path, self._results / place, seconds)
        except DecodeError as error:
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
                "thumbnail": pictures.of_hit(hit, is_moment=answer.kind == "frames"),
            }
            for hit in answer.hits
        ],
    }


def _key(entry: dict) -> tuple:
    return tuple(entry[name] for name in _KEY)


def _read(path: Path) -> list[dict]:
    if not path.is_file():
        return []
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        _ = [_key(entry) for entry in entries]
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedError(f"{path} is not a gallery ({error}); remove it") from error
    return entries
