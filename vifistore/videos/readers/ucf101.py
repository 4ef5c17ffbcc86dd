"""UCF101's official files: classInd.txt (ids from 1), trainlistNN.txt, testlistNN.txt.

The videos may lie in class folders, as the archive unpacks, or flat. Test lists have no label:
the folder in their paths is the class.
"""

import re
from pathlib import Path

from vifistore.errors import UsageError
from vifistore.videos.class_files import read_class_file
from vifistore.videos.draft import Draft
from vifistore.videos.readers.entries import add_lines
from vifistore.videos.readers.table import parse_list
from vifistore.videos.text import files_in

CLASS_FILE = "classInd.txt"
_LIST = re.compile(r"(train|test)list\d+\.txt")


def is_ucf101(source: Path) -> bool:
    """True for the folder of the official files, and for one of its lists."""
    if source.is_dir():
        return (source / CLASS_FILE).is_file() and bool(_lists_in(source))
    return bool(_LIST.fullmatch(source.name)) and (source.parent / CLASS_FILE).is_file()


def read_ucf101(source: Path, draft: Draft, class_file: Path | None) -> None:
    """Splits train1 to train3 and test1 to test3, or the one of a single list."""
    folder = source if source.is_dir() else source.parent
    classes = read_class_file(class_file or folder / CLASS_FILE)
    if class_file is not None and classes.first_id != 1:
        raise UsageError(f"{class_file.name} counts from 0, UCF101's lists from 1; leave it out")
    draft.class_names = classes.names
    for path in _lists_in(source) if source.is_dir() else [source]:
        lines, digest = parse_list(path)
        add_lines(path, lines, digest, draft, [classes], match="name")
    draft.names_splits = source.is_dir()


def _lists_in(folder: Path) -> list[Path]:
    return [path for path in files_in(folder, ".txt") if _LIST.fullmatch(path.name)]
