"""Which class file belongs to a list, where the caller names none."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from vifistore.sources.extensions import VIDEO_LINE
from vifistore.videos.class_files import is_class_table, read_class_file
from vifistore.videos.class_names import ClassFile, spelled
from vifistore.videos.line_fields import content_lines
from vifistore.videos.text_lines import decoded, files_in, first_bytes

_NAME_LISTS = re.compile(
    r"(.*[_-])?(label_?map|category|categories|class(es|_?names|_?ids|ind)|labels|id2label|label2id)"
    r"\.(txt|json)"
)
_PEEK_BYTES = 4000

# The folders of the paper's lists, and how the names of their class files begin.
_PAPER_FOLDERS = {
    "hmdb_splits": ("hmdb_51", "hmdb_51"),
    "ucf_splits": ("ucf_101", "ucf_101"),
    "ssv2_splits": ("ssv2", "ssv2_174"),
    "k400_splits": ("kinetics_400", "kinetics_400"),
}


def class_files_of(source: Path, given: Path | None) -> list[ClassFile]:
    """The class file `given`, or those that may belong to a list, each set of names once.

    Looked for in the layout of the paper's lists (`labels/` above the list's folder), else beside
    the list: first tables of ids and names, then files of names (label_map.txt, labels.json).
    Of several, those that share the first word of the list's name.
    """
    if given is not None:
        return [replace(read_class_file(given), given=True)]
    paper = _paper_class_file(source)
    if paper is not None:
        return [read_class_file(paper)]
    beside = class_files_in(source.parent)
    tables = [path for path in beside if path.suffix.lower() in (".csv", ".tsv")]
    others = [path for path in beside if path not in tables]
    return _distinct(read_class_file(path) for path in _of_same_word(source, tables + others))


def _distinct(files: Iterable[ClassFile]) -> list[ClassFile]:
    """Class files that differ, where they name the same classes in the first one's spelling."""
    distinct: list[ClassFile] = []
    for file in files:
        spelling = spelled(file.names, distinct[0].names) if distinct else {}
        if distinct and all(spelling.values()) and len(file.names) == len(distinct[0].names):
            file = replace(file, names=[spelling[name] for name in file.names])
        if all(file.names != other.names for other in distinct):
            distinct.append(file)
    return distinct


def class_files_in(folder: Path) -> list[Path]:
    """Files of a folder that give class names."""
    return [
        path for path in files_in(folder, ".csv", ".tsv", ".txt", ".json") if is_class_file(path)
    ]


def is_class_file(path: Path) -> bool:
    """True for a table of ids and names, and for a file named like one that lists no video."""
    lines = _first_lines(path)
    if any(VIDEO_LINE.fullmatch(line) for line in lines):
        return False
    if path.suffix.lower() in (".csv", ".tsv"):
        return is_class_table(lines)
    return bool(_NAME_LISTS.fullmatch(path.name.lower()))


def _first_lines(path: Path) -> list[str]:
    """The first lines of a file, without the one that the peek cuts off."""
    content = first_bytes(path, _PEEK_BYTES)
    lines = [line for _, line in content_lines(decoded(content, errors="replace"))]
    return lines[:-1] if len(content) == _PEEK_BYTES and len(lines) > 1 else lines


def _paper_class_file(source: Path) -> Path | None:
    """`labels/*.csv` of the paper's own tree, where base and novel lists have their own."""
    name = _paper_class_name(source)
    above = source.absolute().parents
    candidates = [folder / "labels" / name for folder in above[1:4]] if name else []
    return next((path for path in candidates if path.is_file()), None)


def _paper_class_name(source: Path) -> str:
    draw = re.fullmatch(r"ZS_split(\d)_K600_eval", source.stem)
    if draw:
        return f"ZS_split{draw.group(1)}_K600.csv"
    half = re.match(r"(?:fs_)?(base|novel)_", source.stem)
    prefixes = _PAPER_FOLDERS.get(source.absolute().parent.name)
    if prefixes is None:
        return ""
    return f"{prefixes[1]}_{half.group(1)}_labels.csv" if half else f"{prefixes[0]}_labels.csv"


def _of_same_word(source: Path, candidates: list[Path]) -> list[Path]:
    if len(candidates) < 2:
        return candidates
    word = _first_word(source)
    return [path for path in candidates if _first_word(path) == word] or candidates


def _first_word(path: Path) -> str:
    return re.split(r"[^a-z0-9]", path.stem.lower())[0]
