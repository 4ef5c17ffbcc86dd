"""From labels as they are written to class names: numbers into a class file, names, folders."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vifistore.errors import UnknownNameError, UsageError, first_few, short
from vifistore.videos.class_names import ClassFile, spelled
from vifistore.videos.draft import Draft
from vifistore.videos.evidence import weigh
from vifistore.videos.line_fields import whole_number
from vifistore.videos.records import Line
from vifistore.videos.text_lines import some

_DECIMAL = re.compile(r"-?\d+\.\d+", re.ASCII)


class Labelled(NamedTuple):
    """The class of every line, and the classes that they are taken from."""

    labels: list[str]
    """A class name per line, "" where it has none."""
    names: list[str]
    """Class names in the order of their ids."""
    is_own: bool = False
    """True where a class file names the classes of this list, and no others are meant."""


def class_labels(
    lines: Sequence[Line], files: Sequence[ClassFile], draft: Draft, source: Path
) -> Labelled:
    """The class of every line.

    `files` are the class files that may belong to the source. Raises UsageError where a label is
    in none of them and must be, and where some labels are numbers and others names.
    """
    written = dict.fromkeys(line.label for line in lines if line.label)
    if not written:
        return _folder_labels(lines, files, draft, source)
    names = [label for label in written if whole_number(label) is None]
    if not names:
        return _numbered(lines, files, draft, source)
    is_mixed = len(names) < len(written) or any(map(_DECIMAL.fullmatch, names))
    if is_mixed and not any(all(spelled(written, file.names).values()) for file in files):
        _refuse_mixture(lines, names, source)
    return _named(lines, files, draft, source)


def _refuse_mixture(lines: Sequence[Line], names: Sequence[str], source: Path) -> None:
    where = next(line.where for line in lines if line.label in names)
    numbers = (line.label for line in lines if line.label and line.label not in names)
    numbers = first_few(map(repr, dict.fromkeys(numbers)), length=20) or "none"
    raise UsageError(
        f"{source.name}: labels are neither all whole numbers ({numbers}) nor all names "
        f"({first_few(map(repr, names), length=30)}; {where}); mend the list, or give a class file "
        "that names them all with --labels"
    )


def _numbered(
    lines: Sequence[Line], files: Sequence[ClassFile], draft: Draft, source: Path
) -> Labelled:
    ids = [whole_number(line.label) for line in lines]
    numbers = ["" if id in (None, -1) else str(id) for id in ids]
    if not files:
        draft.notes.append(
            f"{source.name}: labels are numbers without names; give a class file with --labels"
        )
        return Labelled(numbers, sorted(set(numbers) - {""}, key=int))
    file = _agreeing(files, numbers, lines, draft, source)
    labels = [
        file.name(int(number), line.where) if number else ""
        for number, line in zip(numbers, lines, strict=True)
    ]
    _note_file(file, draft)
    return Labelled(labels, file.names, is_own=True)


def _agreeing(
    files: Sequence[ClassFile],
    numbers: Sequence[str],
    lines: Sequence[Line],
    draft: Draft,
    source: Path,
) -> ClassFile:
    """The one class file, or the one of several whose classes names contradict least.

    Published files of one data set do differ: in that of HMDB51 which goes with the paper's lists,
    kick and kick ball have changed places, and so have sword and sword exercise.
    """
    if len(files) == 1:
        return files[0]
    against = [_contradictions(file, numbers, lines) for file in files]
    names = ", ".join(file.source for file in files)
    if against.count(min(against)) > 1:
        raise UsageError(f"{source.name}: {names} name different classes; choose one with --labels")
    best = files[against.index(min(against))]
    draft.notes.append(
        f"{source.name}: of {names}, the file names contradict {best.source} least, so it is taken"
    )
    return best


def _contradictions(file: ClassFile, numbers: Sequence[str], lines: Sequence[Line]) -> float:
    ids = [int(number) - file.first_id if number else None for number in numbers]
    if any(id is not None and not 0 <= id < len(file.names) for id in ids):
        return math.inf
    labels = ["" if id is None else file.names[id] for id in ids]
    return len(weigh([line.path for line in lines], labels, file.names).against)


def _named(
    lines: Sequence[Line], files: Sequence[ClassFile], draft: Draft, source: Path
) -> Labelled:
    labels = [line.label for line in lines]
    names = set(labels) - {""}
    for file in files:
        spelling = {"": "", **spelled(names, file.names)}
        unknown = {label for label in names if not spelling[label]}
        if not unknown:
            _note_file(file, draft)
            return Labelled([spelling[label] for label in labels], file.names, is_own=True)
        if file.given:
            line = next(line for line in lines if line.label in unknown)
            remedy = f"({line.where}; the classes are those of {file.source})"
            classes = [short(name, 30) for name in file.names]
            raise UnknownNameError("class", short(line.label), classes, remedy)
        reason = f"{file.source} does not name {some(unknown)}, so it gives no order"
        draft.notes.append(f"{source.name}: {reason}")
    return Labelled(labels, sorted(names))


def _folder_labels(
    lines: Sequence[Line], files: Sequence[ClassFile], draft: Draft, source: Path
) -> Labelled:
    folders = [line.path.rpartition("/")[0].rpartition("/")[2] for line in lines]
    for file in files:
        spelling = spelled(folders, file.names)
        if all(spelling.values()):
            draft.notes.append(f"{source.name}: its lines have no label; their folder is the class")
            _note_file(file, draft)
            return Labelled([spelling[folder] for folder in folders], file.names, is_own=True)
    draft.notes.append(f"{source.name}: its lines have no label")
    return Labelled([""] * len(lines), [])


def _note_file(file: ClassFile, draft: Draft) -> None:
    shown = first_few(map(repr, file.names))
    draft.notes.append(f"{len(file.names):,} classes are named by {file.source}: {shown}")
