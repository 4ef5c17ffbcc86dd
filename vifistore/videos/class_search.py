"""Which class file belongs to a list, where the caller names none."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from vifistore.videos.class_names import ClassFile, is_class_header, read_class_file, spelled
from vifistore.videos.extensions import VIDEO_LINE
from vifistore.videos.text import files_in, first_bytes

_NAME_LISTS = re.compile(
    r"(.*[_-])?(label_?map|category|categories|class(es|_names|ind)|labels)\.(txt|json)"
)
_PEEK_BYTES = 1000

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
    the list: first CSV `id,name`, then files of names (label_map.txt, category.txt, labels.json).
    Of several, those that share the first word of the list's name.
    """
    if given is not None:
        return [replace(read_class_file(given), given=True)]
    paper = _paper_class_file(source)
    if paper is not None:
        return [read_class_file(paper)]
    beside = class_files_in(source.parent)
    tables = [path for path in beside if path.suffix.lower() == ".csv"]
    others = [path for path in beside if path not in tables]
    return _distinct(read_class_file(path) for path in _of_same_word(source, tables + others))


def _distinct(files: Iterable[ClassFile]) -> list[ClassFile]:
    """Class files that differ, where they name the same classes in the first one's spelling."""
    found: list[ClassFile] = []
    for file in files:
        spelling = spelled(file.names, found[0].names) if found else {}
        if found and all(spelling.values()) and len(file.names) == len(found[0].names):
            file = replace(file, names=[spelling[name] for name in file.names])
        if all(file.names != other.names for other in found):
            found.append(file)
    return found


def class_files_in(folder: Path) -> list[Path]:
    """Files of a folder that give class names."""
    return [path for path in files_in(folder, ".csv", ".txt", ".json") if is_class_file(path)]


def is_class_file(path: Path) -> bool:
    """True for a CSV `id,name`, and for a file named like one of classes that lists no video."""
    start = first_bytes(path, _PEEK_BYTES).decode("utf-8-sig", errors="replace")
    first = start.partition("\n")[0].strip()
    if path.suffix.lower() == ".csv":
        return is_class_header(first)
    return bool(_NAME_LISTS.fullmatch(path.name.lower())) and not VIDEO_LINE.fullmatch(first)


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
