"""Which format a source has, and what showed it."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from vifistore.errors import UsageError
from vifistore.videos.class_search import is_class_file
from vifistore.videos.extensions import is_video
from vifistore.videos.readers import captions, kinetics
from vifistore.videos.readers.hmdb51 import is_hmdb51
from vifistore.videos.readers.lists import lists_in
from vifistore.videos.readers.ssv2 import is_ssv2
from vifistore.videos.readers.table import is_table_of_ids
from vifistore.videos.readers.ucf101 import is_ucf101
from vifistore.videos.text import numbered_lines, read_text
from vifistore.videos.tree import Tree

FOLDER_OF_LISTS = "lists"
_TABLES = (".csv", ".tsv")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A recognised source."""

    format: str
    """A name in `vifistore.videos.listing.READERS`, or FOLDER_OF_LISTS."""
    why: str
    """What showed it, in a few words for a note."""


def detect(source: Path) -> Seen:
    """The format of a folder or file. Raises UsageError where there is none to see."""
    if not source.is_dir() and not source.is_file():
        told = "is neither a file nor a folder" if source.exists() else "does not exist"
        raise UsageError(f"{source} {told}; name a folder of videos, a table or a list")
    if is_ucf101(source):
        return Seen(format="ucf101", why="UCF101's official lists")
    if is_hmdb51(source):
        return Seen(format="hmdb51", why="HMDB51's official split files")
    if is_ssv2(source):
        return Seen(format="ssv2", why="Something-Something V2's official JSON")
    return _detect_folder(source) if source.is_dir() else _detect_file(source)


def _detect_folder(source: Path) -> Seen:
    lists = lists_in(source)
    # A text file among videos is a remark; a list lies beside other lists or alone.
    if lists and not Tree(root=source).videos():
        return Seen(format=FOLDER_OF_LISTS, why=f"a folder of {len(lists)} lists")
    return Seen(format="folder", why="a folder of videos")


def _detect_file(source: Path) -> Seen:
    if is_video(source.name):
        raise UsageError(f"{source} is a video; name the folder that holds it")
    if is_class_file(source):
        raise UsageError(f"{source} names classes and no videos; name the list, this as --labels")
    text, _ = read_text(source)
    header = text.lstrip().partition("\n")[0].strip()
    if header.startswith(("{", "[")) and _is_json(text):
        return Seen(format="captions_json", why="JSON with captions")
    columns = [field.strip().strip('"').lower() for field in header.replace("\t", ",").split(",")]
    for column, format, told in (
        ("path", "table", "a table"),
        (kinetics.ID_COLUMN, "kinetics", "Kinetics' official table"),
        (captions.ID_COLUMN, "captions_table", "a table of captions"),
    ):
        if column in columns:
            return Seen(format=format, why=f"{told} ({', '.join(columns)})")
    if is_table_of_ids(columns):
        return Seen(format="table", why=f"a table of ids ({', '.join(columns)})")
    if source.suffix.lower() in _TABLES and _has_header(text):
        raise UsageError(
            f"{source.name} has a header without a path column ({header[:60]}); name the column of "
            "the videos `path` and that of their classes `label`, or drop the header"
        )
    return Seen(format="list", why="a list of `path label` lines")


def _has_header(text: str) -> bool:
    """Whether the first line of a table names columns: words, above lines with other things."""
    first, *others = [line for _, line in numbered_lines(text)] or [""]
    return bool(others) and _is_words(first) and not all(map(_is_words, others))


def _is_words(line: str) -> bool:
    """Whether the fields of a line are words: neither paths nor numbers."""
    fields = [field.strip().strip('"') for field in line.replace("\t", ",").split(",")]
    return len(fields) > 1 and all(re.fullmatch(r"[A-Za-z_][\w -]*", field) for field in fields)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
