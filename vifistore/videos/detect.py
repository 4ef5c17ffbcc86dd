"""Which format a source has, and what showed it."""

from dataclasses import dataclass
from pathlib import Path

from vifistore.errors import UsageError, first_few, short
from vifistore.videos.class_search import is_class_file
from vifistore.videos.extensions import is_video
from vifistore.videos.list_rows import header_of
from vifistore.videos.official import OFFICIAL
from vifistore.videos.readers.database import is_database, is_records
from vifistore.videos.readers.json_files import load_json, parsed_json
from vifistore.videos.readers.lists import lists_in
from vifistore.videos.text_lines import read_text
from vifistore.videos.tree import Tree

FOLDER_OF_LISTS = "lists"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A recognised source."""

    format: str
    """A name in `vifistore.videos.listing.READERS`, or FOLDER_OF_LISTS."""
    why: str
    """What showed it, in a few words for a note."""


def detect(source: Path, *, follow_links: bool = False) -> Seen:
    """The format of a folder or file. Raises UsageError where there is none to see."""
    if not source.is_dir() and not source.is_file():
        told = "is neither a file nor a folder" if source.exists() else "does not exist"
        raise UsageError(f"{source} {told}; name a folder of videos, a table or a list")
    for known in OFFICIAL:
        if known.recognises(source):
            return Seen(format=known.format, why=known.why)
    if not source.is_dir():
        return _detect_file(source)
    lists = lists_in(source)
    # A text file among videos is a remark; a list lies beside other lists or alone.
    if lists and not Tree(root=source, follow_links=follow_links).videos():
        return Seen(format=FOLDER_OF_LISTS, why=f"a folder of {len(lists)} lists")
    return Seen(format="folder", why="a folder of videos")


def _detect_file(source: Path) -> Seen:
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
    columns = [field.lower() for field in header_of(text)]
    if columns:
        return Seen(format="table", why=f"a table ({short(', '.join(columns), 80)})")
    return Seen(format="list", why="a list of `path label` lines")


def _detect_json(content: object, name: str) -> Seen:
    if isinstance(content, dict) and not content.keys().isdisjoint(("videos", "sentences")):
        return Seen(format="captions_json", why="JSON with captions")
    if is_database(content):
        return Seen(format="database", why="a JSON database of labelled videos")
    if is_records(content):
        return Seen(format="records", why="JSON objects with a video and its class")
    if isinstance(content, list):
        return Seen(format="captions_json", why="JSON with captions")
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
