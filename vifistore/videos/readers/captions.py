"""Videos with captions, many per video, in the forms that retrieval benchmarks ship.

- JSON `{"videos": [{"video_id", "split"}], "sentences": [{"video_id", "caption"}]}` (MSR-VTT);
- JSON list of `{"video", "caption"}`, where the caption may be a list;
- CSV with a column `video_id`, and `sentence` where it has captions (MSR-VTT 1k-A).

A table with `path` and `caption` columns is read by `table.py`. A name without extension is the
file of that name with any video's extension. None of these label their videos.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from vifistore.errors import UsageError
from vifistore.videos.draft import Draft
from vifistore.videos.readers.json_files import load_json, text_of
from vifistore.videos.readers.lists import split_name
from vifistore.videos.readers.table import parse_table

ID_COLUMN = "video_id"
_VIDEO_KEYS = ("video", "video_id", "path", "image")
_CAPTION_KEYS = ("caption", "captions", "sentence", "sentences")


class Captioned(NamedTuple):
    """One video of one split with the captions of one entry."""

    video: str
    split: str
    captions: list[str]
    where: str


def read_captions_table(source: Path, draft: Draft, class_file: Path | None) -> None:
    """A CSV of captions: one split named like the file."""
    columns, records, digest = parse_table(source, ID_COLUMN)
    column = next((name for name in _CAPTION_KEYS if name in columns), "")
    entries = (
        Captioned(record[ID_COLUMN], split_name(source.stem), [record.get(column, "")], where)
        for where, record in records
    )
    draft.names_splits = False
    _add(entries, draft, class_file, source, digest)


def read_captions_json(source: Path, draft: Draft, class_file: Path | None) -> None:
    """A JSON file of captions: MSR-VTT's own splits, else one named like the file."""
    content, digest = load_json(source)
    draft.names_splits = isinstance(content, dict)
    entries = _msrvtt(content, source) if isinstance(content, dict) else _plain(content, source)
    _add(entries, draft, class_file, source, digest)


def _add(
    entries: Iterable[Captioned],
    draft: Draft,
    class_file: Path | None,
    source: Path,
    digest: str,
) -> None:
    if class_file is not None:
        raise UsageError(f"{source.name} gives captions and no classes; leave --labels out")
    draft.match = "name"
    members: dict[str, dict[int, None]] = {}
    for entry in entries:
        row = draft.video(entry.video, where=entry.where)
        if entry.split:
            members.setdefault(entry.split, {})[row] = None
        draft.captions += [(row, text) for text in entry.captions if text]
    if not draft.paths:
        raise UsageError(f"{source} lists no video; give a file with at least one")
    for split, rows in members.items():
        draft.add_split(split, [*rows], [""] * len(rows), source=source.name, digest=digest)


def _msrvtt(content: dict, source: Path) -> Iterable[Captioned]:
    videos, sentences = content.get("videos"), content.get("sentences")
    if not isinstance(videos, list) or not isinstance(sentences, list):
        raise UsageError(
            f"{source.name} lacks the list `videos` or `sentences`; give the whole file"
        )
    known = set()
    for number, entry in enumerate(videos, 1):
        where = f"{source.name} video {number}"
        video = text_of(entry, "video_id", where)
        known.add(video)
        yield Captioned(video, text_of(entry, "split", where, default=""), [], where)
    for number, entry in enumerate(sentences, 1):
        where = f"{source.name} sentence {number}"
        video = text_of(entry, "video_id", where)
        if video not in known:
            raise UsageError(f"{where}: {video!r} is not among `videos`; give the whole file")
        yield Captioned(video, "", [text_of(entry, "caption", where)], where)


def _plain(content: object, source: Path) -> Iterable[Captioned]:
    if not isinstance(content, list):
        raise UsageError(f"{source.name} is no list of videos with captions; give one")
    for number, entry in enumerate(content, 1):
        where = f"{source.name} entry {number}"
        keys = entry if isinstance(entry, dict) else {}
        video = next((key for key in _VIDEO_KEYS if key in keys), _VIDEO_KEYS[0])
        caption = next((key for key in _CAPTION_KEYS if key in keys), _CAPTION_KEYS[0])
        texts = keys.get(caption)
        texts = texts if isinstance(texts, list) else [texts]
        if not all(isinstance(text, str) for text in texts):
            raise UsageError(f"{where}: expected a text {caption!r} or a list of them; mend it")
        yield Captioned(text_of(entry, video, where), split_name(source.stem), texts, where)
