"""Which format a source has, and what showed it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from vifistore.errors import UsageError, first_few, shell, short
from vifistore.sources.extensions import extension, is_video
from vifistore.sources.remote_root import RemoteRoot
from vifistore.sources.roots import Root
from vifistore.videos.class_search import is_class_file
from vifistore.videos.draft import Draft
from vifistore.videos.list_rows import header_of
from vifistore.videos.readers.activitynet import is_activitynet, read_activitynet
from vifistore.videos.readers.captions import (
    is_activitynet_captions,
    read_activitynet_captions,
    read_captions_json,
)
from vifistore.videos.readers.charades import is_charades, read_charades
from vifistore.videos.readers.database import (
    is_database,
    is_records,
    read_database,
    read_records,
)
from vifistore.videos.readers.folder import read_folder
from vifistore.videos.readers.hmdb51 import is_hmdb51, read_hmdb51
from vifistore.videos.readers.json_files import load_json, parsed_json
from vifistore.videos.readers.msvd import is_msvd, read_msvd
from vifistore.videos.readers.qvhighlights import is_qvhighlights, read_qvhighlights
from vifistore.videos.readers.ssv2 import is_ssv2, read_ssv2
from vifistore.videos.readers.table import read_table
from vifistore.videos.readers.ucf101 import is_ucf101, read_ucf101
from vifistore.videos.text_lines import files_in, read_text
from vifistore.videos.tree import Tree

_LISTS = ("csv", "tsv", "txt", "json", "jsonl")
# What lies among lists and is none.
_DOCUMENTS = ("readme", "license", "licence")


Reader = Callable[[Any, Draft, Path | None], None]
"""(source, a file or a folder; draft to fill; class file that was given) -> nothing; raises
UsageError with file and line for what cannot be read."""


class Format(NamedTuple):
    """What reads a source."""

    read: Reader
    why: str
    """What showed it, in a few words for a note."""


# Datasets that are known by their own official files, asked in this order: whether a source, a file
# or a folder, is of it, and how it is read then.
OFFICIAL: tuple[tuple[Callable[[Path], bool], Format], ...] = (
    (is_ucf101, Format(read_ucf101, "UCF101's official lists")),
    (is_hmdb51, Format(read_hmdb51, "HMDB51's official split files")),
    (is_ssv2, Format(read_ssv2, "Something-Something V2's official JSON")),
)


def detect(source: Root, *, follow_links: bool = False) -> Format:
    """The format of a folder or file. Raises UsageError where there is none to see."""
    if isinstance(source, RemoteRoot):
        return _detect_remote(source)
    if not source.is_dir() and not source.is_file():
        problem = "is neither a file nor a folder" if source.exists() else "does not exist"
        raise UsageError(f"{source} {problem}; name a folder of videos, a table or a list")
    for is_official, format in OFFICIAL:
        if is_official(source):
            return format
    if not source.is_dir():
        return _detect_file(source)
    lists = _lists_in(source)
    # A text file among videos is a remark; a list lies beside other lists or alone.
    if lists and not Tree(root=source, follow_links=follow_links).videos():
        return Format(_read_lists, f"a folder of {len(lists)} lists")
    return Format(read_folder, "a folder of videos")


def _detect_remote(source: RemoteRoot) -> Format:
    if not source.can_list:
        command = shell("vifi", "scan", "S", "LIST", "--root", str(source))
        raise UsageError(
            f"{source} cannot be listed, as web servers do not tell what they have; give a list "
            f"of its videos: {command}"
        )
    if extension(source.name) in _LISTS:
        raise UsageError(
            f"{source} is a list on a server; copy it to this machine, and give the folder of the "
            "videos as --root"
        )
    return Format(read_folder, "a folder of videos")


def _lists_in(folder: Path) -> list[Path]:
    """The lists and tables of a folder: its text files but for class files and documents."""
    return [
        path
        for path in files_in(folder, ".txt", ".csv", ".tsv")
        if not path.name.lower().startswith(_DOCUMENTS) and not is_class_file(path)
    ]


def _read_lists(source: Path, draft: Draft, class_file: Path | None) -> None:
    """A folder of lists: one split for each of its text files."""
    for path in _lists_in(source):
        detect(path).read(path, draft, class_file)
    draft.names_splits = True


def _detect_file(source: Path) -> Format:
    if is_video(source.name):
        raise UsageError(f"{source} is a video; name the folder that holds it")
    if is_class_file(source):
        raise UsageError(f"{source} names classes and no videos; name the list, this as --labels")
    text, _ = read_text(source)
    content = _json_of(text) if text.lstrip().startswith(("{", "[")) else None
    if content is None and source.suffix.lower() in (".json", ".jsonl"):
        content, _ = load_json(source)
    if content is not None:
        return _detect_json(content, source.name)
    if is_msvd(text):
        return Format(read_msvd, "MSVD's captions")
    columns = [field.lower() for field in header_of(text)]
    if is_charades(columns):
        return Format(read_charades, "Charades' actions")
    if columns:
        return Format(read_table, f"a table ({short(', '.join(columns), 80)})")
    return Format(read_table, "a list of `path label` lines")


def _detect_json(content: object, name: str) -> Format:
    if isinstance(content, dict) and not content.keys().isdisjoint(("videos", "sentences")):
        return Format(read_captions_json, "JSON with captions")
    if is_activitynet(content):
        return Format(read_activitynet, "a JSON database of segments of videos")
    if is_activitynet_captions(content):
        return Format(read_activitynet_captions, "ActivityNet-Captions' sentences")
    if is_qvhighlights(content):
        return Format(read_qvhighlights, "QVHighlights' queries")
    if is_database(content):
        return Format(read_database, "a JSON database of labelled videos")
    if is_records(content):
        return Format(read_records, "JSON objects with a video and its class")
    if isinstance(content, list):
        return Format(read_captions_json, "JSON with captions")
    held = first_few(map(repr, content)) if isinstance(content, dict) else short(str(content))
    raise UsageError(
        f"{name} is JSON of no known form (it holds {held}); give a database "
        '{id: {"annotations": {"label"}, "subset"}}, a list of {"path", "label"}, or a table'
    )


def _json_of(text: str) -> object | None:
    try:
        return parsed_json(text)
    except ValueError:
        return None
