"""HMDB51's official split files: `<class>_test_split<1|2|3>.txt`, one per class and split.

A line is `name.avi 1` for a training video, 2 for a test video, 0 for neither. The videos may lie
in class folders or flat.
"""

import hashlib
import re
from pathlib import Path

from vifistore.errors import UsageError
from vifistore.videos.class_search import class_files_of
from vifistore.videos.draft import Draft
from vifistore.videos.readers.entries import add_lines
from vifistore.videos.readers.table import parse_list
from vifistore.videos.records import Line
from vifistore.videos.text_lines import files_in

_FILE = re.compile(r"(.+)_test_split(\d)\.txt")
_PARTS = {"1": "train", "2": "test"}


def is_hmdb51(source: Path) -> bool:
    """True for the folder of the official files, and for one of them."""
    if source.is_dir():
        return bool(_files(source))
    return bool(_FILE.fullmatch(source.name))


def read_hmdb51(source: Path, draft: Draft, class_file: Path | None) -> None:
    """Splits train1 to train3 and test1 to test3; classes in the order of their names.

    Raises UsageError for one of the files, and with file and line for what cannot be read.
    """
    if not source.is_dir():
        raise UsageError(f"{source.name} holds one class; name its folder {source.parent}")
    lines: dict[str, list[Line]] = {}
    digests: dict[str, list[str]] = {}
    for path, class_name, number in _files(source):
        parsed, digest = parse_list(path)
        digests.setdefault(number, []).append(f"{path.name} {digest}\n")
        lines.setdefault(number, []).extend(
            line._replace(label=class_name, split=_split(line, number)) for line in parsed
        )
    files = class_files_of(source, class_file) if class_file else []
    for number in sorted(lines):
        digest = hashlib.sha256("".join(digests[number]).encode()).hexdigest()
        name = Path(f"*_test_split{number}.txt")
        add_lines(name, lines[number], digest, draft, files, names_splits=True, match="name")
    draft.splits = dict(sorted(draft.splits.items()))


def _files(folder: Path) -> list[tuple[Path, str, str]]:
    """The split files with the class and the number of the split that their names hold."""
    matches = [(path, _FILE.fullmatch(path.name)) for path in files_in(folder, ".txt")]
    return [(path, match[1], match[2]) for path, match in matches if match]


def _split(line: Line, number: str) -> str:
    """The split of a line, "" where it is of none."""
    if line.label not in ("0", *_PARTS):
        raise UsageError(f"{line.where}: expected 0, 1 or 2 after the name; mend the line")
    return _PARTS[line.label] + number if line.label in _PARTS else ""
