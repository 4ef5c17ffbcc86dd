"""Something-Something V2's official JSON: train, validation, test, and the labels file.

An entry is `{"id", "label", "template", "placeholders"}`; the class is the template without its
brackets, the label is a caption. Videos are `<id>.webm` in one folder. Test entries have only ids.
"""

import re
from pathlib import Path

from vifistore.errors import UsageError
from vifistore.videos.class_files import read_class_file, template_name
from vifistore.videos.class_names import ClassFile
from vifistore.videos.draft import Draft
from vifistore.videos.readers.entries import add_lines
from vifistore.videos.readers.json_files import load_json, text_of
from vifistore.videos.records import Line
from vifistore.videos.text_lines import files_in, first_bytes

_FILE = re.compile(r"(something-something-v2-)?(train|validation|test|labels)\.json")
_PEEK_BYTES = 1000


def is_ssv2(source: Path) -> bool:
    """True for the folder of the official files, and for one of its lists of videos."""
    if source.is_dir():
        return bool(_files(source).keys() - {"labels"})
    return _part(source) not in ("", "labels")


def read_ssv2(source: Path, draft: Draft, class_file: Path | None) -> None:
    """Splits train, validation and test as far as their files are there."""
    folder = source if source.is_dir() else source.parent
    files = _files(folder)
    labels_file = class_file or files.get("labels")
    classes = [read_class_file(labels_file)] if labels_file else []
    for split, path in files.items():
        if split != "labels" and (source.is_dir() or path == source):
            _add_file(path, split, draft, classes)
    draft.names_splits = source.is_dir()


def _files(folder: Path) -> dict[str, Path]:
    paths = files_in(folder, ".json")
    return {part: path for path in paths if (part := _part(path))}


def _part(path: Path) -> str:
    """train, validation, test or labels for an official file, else ""."""
    match = _FILE.fullmatch(path.name)
    if not match:
        return ""
    # Other data sets have a train.json too: theirs name a video, or give captions.
    if not match.group(1) and match.group(2) != "labels":
        first = first_bytes(path, _PEEK_BYTES)
        if b'"id"' not in first or b'"caption' in first or b'"video' in first:
            return ""
    return match.group(2)


def _add_file(path: Path, split: str, draft: Draft, classes: list[ClassFile]) -> None:
    content, digest = load_json(path)
    if not isinstance(content, list) or not content:
        raise UsageError(f"{path.name} is not a list of videos; give the official file")
    lines = []
    for number, entry in enumerate(content, 1):
        where = f"{path.name} entry {number}"
        template = template_name(text_of(entry, "template", where, default=""))
        caption = text_of(entry, "label", where, default="")
        video = f"{text_of(entry, 'id', where)}.webm"
        lines.append(Line(video, template, where, split=split, captions=(caption,)))
    add_lines(path, lines, digest, draft, classes, names_splits=True, match="name")
