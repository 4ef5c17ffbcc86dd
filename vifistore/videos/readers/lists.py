"""Lists of `path label` lines, the form of the paper's own lists and of most video code.

A line is `path`, `path label`, or for stored frames `folder num_frames label`, parted by spaces,
a tab or a comma. A label is a number into a class file, or a class name. A path may hold spaces
where it ends in a video's extension. Without label, the folder that holds the file names the class
where a class file knows all these folders.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from vifistore.errors import UsageError
from vifistore.videos.class_names import ClassFile
from vifistore.videos.class_search import class_files_of, is_class_file
from vifistore.videos.draft import Draft
from vifistore.videos.extensions import VIDEO_LINE
from vifistore.videos.file_names import is_hmdb51_name, is_ucf101_name
from vifistore.videos.match import youtube_id
from vifistore.videos.readers.labels import Line, add_videos, class_labels, is_number
from vifistore.videos.text import files_in, numbered_lines, read_text

_SPLIT_NAME = re.compile(r"(train|test|val)(?:list|_split)0*(\d+)")


def read_list(source: Path, draft: Draft, class_file: Path | None) -> None:
    """One list, one split named like the file."""
    lines, digest = parse_list(source)
    draft.match = match_of([line.path for line in lines])
    draft.names_splits = False
    add_list(source, lines, digest, draft, class_files_of(source, class_file))


def lists_in(folder: Path) -> list[Path]:
    """The lists and tables of a folder: its text files but for class files and documents."""
    documents = ("readme", "license", "licence")
    return [
        path
        for path in files_in(folder, ".txt", ".csv", ".tsv")
        if not path.name.lower().startswith(documents) and not is_class_file(path)
    ]


def parse_list(source: Path) -> tuple[list[Line], str]:
    """The videos of a list in its order, and its digest. Raises UsageError with the line number."""
    text, digest = read_text(source)
    name = source.name
    lines = [_parse(line, f"{name} line {number}") for number, line in numbered_lines(text)]
    if not lines:
        raise UsageError(f"{source} lists no video; write one `path label` line for each")
    return lines, digest


def add_list(
    source: Path, lines: Sequence[Line], digest: str, draft: Draft, files: Sequence[ClassFile]
) -> None:
    """Put the videos of one list and its split into the draft."""
    labels, names = class_labels(lines, files, draft, source)
    rows = add_videos(lines, labels, draft)
    draft.add_split(
        split_name(source.stem),
        rows,
        labels,
        class_names=names,
        source=source.name,
        digest=digest,
    )


def split_name(file_stem: str) -> str:
    """The short name of an official list (testlist01 -> test1), else the name of the file.

    The store takes letters, digits and _.@+=- in names; other characters become "_".
    """
    match = _SPLIT_NAME.fullmatch(file_stem)
    if match:
        return match.group(1) + match.group(2)
    return re.sub(r"[^A-Za-z0-9_.@+=-]|^[.@+=-]", "_", file_stem)


def match_of(paths: Sequence[str]) -> str:
    """How listed paths may find their files: by name only where names are unique by design."""
    if _is_kinetics(paths):
        return "youtube"
    flat = all("/" not in path for path in paths)
    by_design = (is_ucf101_name(path) or is_hmdb51_name(path) for path in paths)
    return "name" if flat or all(by_design) else "path"


def _is_kinetics(paths: Sequence[str]) -> bool:
    """True where every name is a YouTube id and none is shared by two paths.

    Other names may have eleven characters too ("video_00001"); most YouTube ids hold a capital.
    """
    ids = [youtube_id(path) for path in set(paths)]
    if not all(ids) or len(set(ids)) < len(ids):
        return False
    return 2 * sum(id != id.lower() for id in ids) > len(ids)


def _parse(line: str, where: str) -> Line:
    match = VIDEO_LINE.fullmatch(line)
    if match:
        path, label = match.group(1), (match.group(2) or "").strip()
        if len(label.split()) > 1 and all(map(is_number, re.split(r"[\s,]+", label))):
            raise UsageError(f"{where}: several labels for one video; write `path label`")
        return Line(path, label, where)
    fields = line.split("\t") if "\t" in line else line.split() if " " in line else line.split(",")
    fields = [field.strip() for field in fields]
    if len(fields) == 3 and all(map(is_number, fields[1:])):
        return Line(fields[0], fields[2], where)
    if len(fields) > 2 or not all(fields):
        raise UsageError(f"{where}: expected `path label`, found {line[:60]!r}; mend the line")
    return Line(fields[0], fields[1] if len(fields) == 2 else "", where)
