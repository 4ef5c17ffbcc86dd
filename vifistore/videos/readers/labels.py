"""From labels as they are written to class names: numbers into a class file, names, folders."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vifistore.errors import UnknownNameError, UsageError
from vifistore.videos.class_names import ClassFile, spelled
from vifistore.videos.draft import Draft
from vifistore.videos.file_names import disagrees
from vifistore.videos.text import first_of, some

# At most nine digits: longer ones are no label, and Python refuses to parse very long ones.
_NUMBER = re.compile(r"\d{1,9}|-1", re.ASCII)


class Line(NamedTuple):
    """One video as its list gives it; `where` names file and line."""

    path: str
    label: str
    where: str


def is_number(label: str) -> bool:
    """True for a class id; -1 marks an unlabelled video."""
    return bool(_NUMBER.fullmatch(label))


def class_labels(
    lines: Sequence[Line], files: Sequence[ClassFile], draft: Draft, source: Path
) -> tuple[list[str], list[str]]:
    """The class name of every line ("" where it has none), and the names in the order of ids.

    `files` are the class files that may belong to the source. Raises UsageError where a label is
    in none of them and must be.
    """
    written = {line.label for line in lines} - {""}
    if not written:
        return _folder_labels(lines, files, draft, source)
    if all(map(is_number, written)):
        return _numbered(lines, files, draft, source)
    return _named(lines, files, draft, source)


def add_videos(lines: Sequence[Line], labels: Sequence[str], draft: Draft) -> list[int]:
    """Put the videos of a list into the draft; their rows."""
    return [
        draft.video(line.path, where=line.where, label=label)
        for line, label in zip(lines, labels, strict=True)
    ]


def _numbered(
    lines: Sequence[Line], files: Sequence[ClassFile], draft: Draft, source: Path
) -> tuple[list[str], list[str]]:
    numbers = ["" if line.label in ("", "-1") else str(int(line.label)) for line in lines]
    if not files:
        draft.notes.append(
            f"{source.name}: labels are numbers without names; give a class file with --labels"
        )
        return numbers, sorted(set(numbers) - {""}, key=int)
    file = _agreeing(files, numbers, lines, draft, source)
    labels = [
        file.name(int(number), line.where) if number else ""
        for number, line in zip(numbers, lines, strict=True)
    ]
    _note_file(file, draft)
    return labels, file.names


def _agreeing(
    files: Sequence[ClassFile],
    numbers: Sequence[str],
    lines: Sequence[Line],
    draft: Draft,
    source: Path,
) -> ClassFile:
    """The one class file, or the one of several whose classes the file names contradict least.

    Published files of one data set do differ: in that of HMDB51 which goes with the paper's lists,
    kick and kick ball have changed places, and so have sword and sword exercise.
    """
    if len(files) == 1:
        return files[0]
    against = [_contradictions(file, numbers, lines) for file in files]
    found = ", ".join(file.source for file in files)
    if against.count(min(against)) > 1:
        raise UsageError(f"{source.name}: {found} name different classes; choose one with --labels")
    best = files[against.index(min(against))]
    draft.notes.append(
        f"{source.name}: of {found}, the file names contradict {best.source} least, so it is taken"
    )
    return best


def _contradictions(file: ClassFile, numbers: Sequence[str], lines: Sequence[Line]) -> float:
    ids = [int(number) - file.first_id if number else None for number in numbers]
    if any(id is not None and not 0 <= id < len(file.names) for id in ids):
        return math.inf
    return sum(
        id is not None and disagrees(line.path, file.names[id])
        for id, line in zip(ids, lines, strict=True)
    )


def _named(
    lines: Sequence[Line], files: Sequence[ClassFile], draft: Draft, source: Path
) -> tuple[list[str], list[str]]:
    labels = [line.label for line in lines]
    names = set(labels) - {""}
    for file in files:
        spelling = {"": "", **spelled(names, file.names)}
        unknown = {label for label in names if not spelling[label]}
        if not unknown:
            _note_file(file, draft)
            return [spelling[label] for label in labels], file.names
        if file.given:
            line = next(line for line in lines if line.label in unknown)
            remedy = f"({line.where}; the classes are those of {file.source})"
            raise UnknownNameError("class", line.label, file.names, remedy)
        told = f"{file.source} does not name {some(unknown)}, so it gives no order"
        draft.notes.append(f"{source.name}: {told}")
    return labels, sorted(names)


def _folder_labels(
    lines: Sequence[Line], files: Sequence[ClassFile], draft: Draft, source: Path
) -> tuple[list[str], list[str]]:
    folders = [line.path.rpartition("/")[0].rpartition("/")[2] for line in lines]
    for file in files:
        spelling = spelled(folders, file.names)
        if all(spelling.values()):
            draft.notes.append(f"{source.name}: its lines have no label; their folder is the class")
            _note_file(file, draft)
            return [spelling[folder] for folder in folders], file.names
    draft.notes.append(f"{source.name}: its lines have no label")
    return [""] * len(lines), []


def _note_file(file: ClassFile, draft: Draft) -> None:
    shown = f"{first_of(file.names)}{', ...' if len(file.names) > 3 else ''}"
    draft.notes.append(f"{len(file.names):,} classes are named by {file.source}: {shown}")
