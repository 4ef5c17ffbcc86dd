"""Charades' own tables: a row a video, with the times of its actions.

    id,subject,...,actions,length        actions: "c092 11.90 21.20;c147 0.00 12.60"

Every action is a video of its own, a part of the file of its row; a row without actions is a whole
video without a label. Classes are named by Charades_v1_classes.txt, beside the table or given.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from vifistore.errors import UsageError, short
from vifistore.videos.class_names import ClassFile
from vifistore.videos.draft import Draft
from vifistore.videos.readers.entries import add_lines
from vifistore.videos.readers.segments import Segment, segment_lines
from vifistore.videos.records import Line
from vifistore.videos.text_lines import read_text

_CLASSES = "Charades_v1_classes.txt"


def is_charades(header: Sequence[str]) -> bool:
    """True for the columns of a table of Charades."""
    return {"id", "actions"} <= set(header)


def read_charades(source: Path, draft: Draft, class_file: Path | None) -> None:
    """One split, named like the file. Raises UsageError with the row for what is no action."""
    text, digest = read_text(source)
    names, files = _class_names(source, class_file)
    lines, notes = segment_lines(source.name, _actions(text, source.name, names))
    draft.notes += notes
    add_lines(source, lines, digest, draft, files, match="name")


def _actions(text: str, source: str, names: dict[str, str]) -> Iterator[Line | Segment]:
    table = csv.DictReader(text.splitlines())
    try:
        for row in table:
            where = f"{source} line {table.line_num}"
            video, actions = row.get("id") or "", row.get("actions")
            if not video or actions is None:
                raise UsageError(f"{where}: id or actions is missing; mend the row")
            parts = [part.split() for part in actions.split(";") if part.strip()]
            if not parts:
                yield Line(video, "", where)
            for part in parts:
                if len(part) != 3:
                    told = f"{short(' '.join(part))!r} is no action `class start end`"
                    raise UsageError(f"{where}: {told}; mend the row")
                if names and part[0] not in names:
                    told = f"class {short(part[0])!r} is not in the class file"
                    raise UsageError(f"{where}: {told}; give the right one with --labels")
                yield Segment(Line(video, names.get(part[0], part[0]), where), part[1], part[2])
    except csv.Error as error:
        raise UsageError(f"{source} line {table.line_num}: {error}; mend the line") from error


def _class_names(source: Path, given: Path | None) -> tuple[dict[str, str], list[ClassFile]]:
    """Names of classes by their codes, "c092", and the class file of their order."""
    path = given or source.with_name(_CLASSES)
    if given is None and not path.is_file():
        return {}, []
    pairs = [line.split(None, 1) for line in read_text(path)[0].splitlines() if line.strip()]
    if any(len(pair) < 2 for pair in pairs):
        raise UsageError(f"{path} has lines other than `c000 name`; give {_CLASSES}")
    names = {code: name.strip() for code, name in pairs}
    ordered = list(dict.fromkeys(names.values()))
    return names, [ClassFile(names=ordered, first_id=0, source=path.name, given=given is not None)]
