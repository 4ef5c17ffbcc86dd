"""UCF101's official files: classInd.txt (ids from 1), trainlistNN.txt, testlistNN.txt.

The videos may lie in class folders, as the archive unpacks, or flat. Test lists have no label:
the folder in their paths is the class. A classInd.txt of some classes, with their ids as they were
or counted anew, takes the videos of these alone: every line names its class.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from vifistore.errors import UsageError
from vifistore.videos.class_files import read_class_file
from vifistore.videos.class_names import ClassFile, spelled
from vifistore.videos.draft import Draft
from vifistore.videos.file_names import class_of
from vifistore.videos.line_fields import whole_number
from vifistore.videos.readers.entries import add_lines
from vifistore.videos.readers.table import parse_list
from vifistore.videos.records import Line
from vifistore.videos.text_lines import files_in, some

CLASS_FILE = "classInd.txt"
_LIST = re.compile(r"(train|test)list\d+\.txt")


def is_ucf101(source: Path) -> bool:
    """True for the folder of the official files, and for one of its lists."""
    if source.is_dir():
        return (source / CLASS_FILE).is_file() and bool(_lists_in(source))
    return bool(_LIST.fullmatch(source.name)) and (source.parent / CLASS_FILE).is_file()


def read_ucf101(source: Path, draft: Draft, class_file: Path | None) -> None:
    """Splits train1 to train3 and test1 to test3, or the one of a single list.

    Raises UsageError for a class file that is not UCF101's.
    """
    folder = source if source.is_dir() else source.parent
    classes, is_cut = _read_classes(class_file or folder / CLASS_FILE)
    if class_file is not None and classes.first_id != 1:
        raise UsageError(f"{class_file.name} counts from 0, UCF101's lists from 1; leave it out")
    draft.class_names = classes.names
    for path in _lists_in(source) if source.is_dir() else [source]:
        lines, digest = parse_list(path)
        if lines := _of_classes(lines, classes, draft, path, is_cut=is_cut):
            add_lines(path, lines, digest, draft, [classes], match="name")
    draft.names_splits = source.is_dir()
    if not draft.paths:
        raise UsageError(
            f"{classes.source} names no class of the lists in {folder} (it names "
            f"{some(classes.names)}); give a class file of theirs with --labels"
        )


def _read_classes(path: Path) -> tuple[ClassFile, bool]:
    """The classes of a file, and whether their ids have gaps: then they are no labels of lists."""
    cut = read_class_file(path, may_be_cut=True)
    try:
        return read_class_file(path), False
    except UsageError:
        return cut, True


def _of_classes(
    lines: Sequence[Line], classes: ClassFile, draft: Draft, source: Path, *, is_cut: bool
) -> list[Line]:
    """All lines; of a class file that lacks classes those of the others, by their folders."""
    names = [class_of(line.path) for line in lines]
    spelling = spelled(names, classes.names)
    numbers = [id for line in lines if (id := whole_number(line.label)) is not None]
    is_cut = is_cut or max(numbers, default=1) > len(classes.names)
    if all(spelling.values()) and not is_cut:
        return list(lines)
    if left_out := [
        name or line.path for name, line in zip(names, lines, strict=True) if not spelling[name]
    ]:
        draft.notes.append(
            f"{source.name}: {len(left_out):,} of {len(lines):,} lines are left out, whose classes "
            f"{classes.source} does not name: {some(left_out)}"
        )
    return [
        line._replace(label=spelling[name])
        for line, name in zip(lines, names, strict=True)
        if spelling[name]
    ]


def _lists_in(folder: Path) -> list[Path]:
    return [path for path in files_in(folder, ".txt") if _LIST.fullmatch(path.name)]
