"""ActivityNet's JSON, and others of its form such as those of HACS and THUMOS14: a video's actions.

    {"database": {ID: {"subset", "annotations": [{"segment": [12.5, 60.1], "label"}, ...]}}}

Every segment is a video of its own. A video without annotations, as of a test set, is whole.
"""

from collections.abc import Iterator
from pathlib import Path

from vifistore.errors import UsageError, short
from vifistore.videos.class_search import class_files_of
from vifistore.videos.draft import Draft
from vifistore.videos.match import youtube_id
from vifistore.videos.readers.entries import add_lines
from vifistore.videos.readers.json_files import load_json, text_of
from vifistore.videos.readers.segments import Segment, segment_lines
from vifistore.videos.records import Line


def is_activitynet(content: object) -> bool:
    """True for a database in which a video has a list of segments."""
    entries = content.get("database") if isinstance(content, dict) else None
    if not isinstance(entries, dict):
        return False
    return any("segment" in part for entry in entries.values() for part in _annotations(entry))


def read_activitynet(source: Path, draft: Draft, class_file: Path | None) -> None:
    """One split for each subset. Raises UsageError with the entry for what is no segment."""
    content, digest = load_json(source)
    assert isinstance(content, dict), "is_activitynet chose this reader"
    entries = content["database"]
    lines, notes = segment_lines(source.name, _segments(entries, source.name))
    draft.notes += notes
    match = "youtube" if all(map(youtube_id, entries)) else ""
    has_splits = any(line.split for line in lines)
    files = class_files_of(source, class_file)
    add_lines(source, lines, digest, draft, files, names_splits=has_splits, match=match)


def _segments(entries: dict, source: str) -> Iterator[Line | Segment]:
    for name, entry in entries.items():
        where = f"{source} entry {short(name, 40)!r}"
        if not isinstance(entry, dict):
            raise UsageError(f"{where}: expected an object, found {short(str(entry))!r}; mend it")
        split = text_of(entry, "subset", where, default="")
        annotations = _annotations(entry)
        if not annotations:
            yield Line(name, "", where, split=split)
        for part in annotations:
            segment = part.get("segment")
            if not (isinstance(segment, list) and len(segment) == 2):
                raise UsageError(f"{where}: {short(str(part))!r} has no `segment` of two times")
            line = Line(name, text_of(part, "label", where), where, split=split)
            yield Segment(line, str(segment[0]), str(segment[1]))


def _annotations(entry: object) -> list[dict]:
    found = entry.get("annotations") if isinstance(entry, dict) else None
    return [part for part in found if isinstance(part, dict)] if isinstance(found, list) else []
