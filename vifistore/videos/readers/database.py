"""JSON that labels videos: databases of Kinetics' and ActivityNet's tools, and lists of objects.

- `{"database": {ID: {"annotations": {"label", "segment"}, "subset"}}, "labels": [...]}`, or the
  inner object alone; `annotations` may be a list of segments of one label;
- a list of objects, or one a line, with the columns of a table: `{"filename", "label", "split"}`.

The id of a video is its name, its YouTube id, or that with the times of its segment.
"""

from pathlib import Path

from vifistore.errors import UsageError, first_few, short
from vifistore.sources.extensions import is_video
from vifistore.videos.class_names import ClassFile
from vifistore.videos.class_search import class_files_of
from vifistore.videos.columns import WORDS, labels_of, roles_by_words
from vifistore.videos.draft import Draft
from vifistore.videos.listed_times import listed_stretch
from vifistore.videos.match import clip_name, youtube_id
from vifistore.videos.readers.entries import add_lines
from vifistore.videos.readers.json_files import load_json
from vifistore.videos.records import Line
from vifistore.videos.stretches import WHOLE, Stretch

_SPLITS = ("subset", "split")


def is_database(content: object) -> bool:
    """True for an object that labels videos, by the first of its entries."""
    if not isinstance(content, dict):
        return False
    entries = content.get("database", content)
    first = next(iter(entries.items()), None) if isinstance(entries, dict) else None
    if first is None:
        return False
    name, entry = first
    if not isinstance(entry, dict):
        return is_video(name) and isinstance(entry, str | int)
    return not {"annotations", "label", "class", *_SPLITS}.isdisjoint(entry)


def is_records(content: object) -> bool:
    """True for a list of objects with a video and its class."""
    entry = content[0] if isinstance(content, list) and content else None
    return (
        isinstance(entry, dict) and "path" in roles_by_words([*entry]) and bool(labels_of([*entry]))
    )


def read_database(source: Path, draft: Draft, class_file: Path | None) -> None:
    """One split for each subset, or one named like the file."""
    content, digest = load_json(source)
    assert isinstance(content, dict), "is_database chose this reader"
    entries = content.get("database", content)
    lines = [
        _line(name, entry if isinstance(entry, dict) else {"label": entry}, source.name)
        for name, entry in entries.items()
    ]
    _add(source, lines, digest, draft, _classes(source, class_file, content))


def read_records(source: Path, draft: Draft, class_file: Path | None) -> None:
    """One split for each value of `split`, or one named like the file.

    Raises UsageError, with the entry, where it names no video.
    """
    content, digest = load_json(source)
    assert isinstance(content, list), "is_records chose this reader"
    lines = []
    for number, entry in enumerate(content, 1):
        where = f"{source.name} entry {number}"
        path = _field(entry, "path", where)
        if not path:
            raise UsageError(f"{where} names no video; give each a `path`")
        start, end = (_field(entry, role, where) for role in ("start", "end"))
        stretch = listed_stretch(start, end, where)
        lines.append(_of(entry, path, where)._replace(stretch=stretch))
    _add(source, lines, digest, draft, class_files_of(source, class_file))


def _add(
    source: Path, lines: list[Line], digest: str, draft: Draft, files: list[ClassFile]
) -> None:
    names = [line.path.rpartition("/")[2] for line in lines]
    match = "youtube" if all(map(youtube_id, names)) else ""
    has_splits = any(line.split for line in lines)
    add_lines(source, lines, digest, draft, files, names_splits=has_splits, match=match)


def _classes(source: Path, class_file: Path | None, content: dict) -> list[ClassFile]:
    """The class file, or the database's own list of labels."""
    labels = content.get("labels")
    are_names = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
    if class_file is None and labels and are_names and len(set(labels)) == len(labels):
        return [ClassFile(names=labels, first_id=0, source=source.name)]
    return class_files_of(source, class_file)


def _line(name: str, entry: dict, source: str) -> Line:
    where = f"{source} entry {short(name, 40)!r}"
    path = next((entry[key] for key in WORDS["path"][:8] if isinstance(entry.get(key), str)), name)
    stretch = _stretch(entry, where)
    if path == name and youtube_id(name) == name:
        path = clip_name(name, stretch, where)
    return _of(entry, path, where)._replace(stretch=stretch)


def _of(entry: dict, path: str, where: str) -> Line:
    split = next((entry[key] for key in _SPLITS if isinstance(entry.get(key), str)), "")
    return Line(path, _label(entry, where), where, split=split)


def _stretch(entry: dict, where: str) -> Stretch:
    """The one segment of an entry, or all of its video."""
    annotations = entry.get("annotations")
    segment = annotations.get("segment") if isinstance(annotations, dict) else None
    segment = segment or entry.get("segment")
    if isinstance(segment, list) and len(segment) == 2:
        return listed_stretch(str(segment[0]), str(segment[1]), where)
    return WHOLE


def _label(entry: dict, where: str) -> str:
    """The one label of an entry, "" where it has none. Raises UsageError for several."""
    annotations = entry.get("annotations", entry)
    parts = annotations if isinstance(annotations, list) else [annotations]
    labels = {}
    for part in parts:
        value = _field(part, "label", where)
        labels |= {value: None} if value else {}
    if len(labels) > 1:
        shown = first_few(map(repr, labels), length=40)
        raise UsageError(f"{where}: several labels for one video ({shown}); keep one")
    return next(iter(labels), "")


def _field(entry: object, role: str, where: str) -> str:
    """The field of a role as text, "" where there is none. Raises UsageError."""
    if not isinstance(entry, dict):
        raise UsageError(
            f"{where}: expected an object, found {short(str(entry))!r}; mend the entry"
        )
    keys = {key.lower(): key for key in entry}
    key = next((keys[word] for word in WORDS[role] if word in keys), None)
    value = entry[key] if key is not None else ""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None or isinstance(value, str):
        return (value or "").strip()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise UsageError(
        f"{where}: expected one text {key!r}, found {short(str(value))!r}; mend the entry"
    )
