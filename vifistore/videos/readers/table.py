"""Tables and lists of videos: a row or a line per video, with its label, split, id and captions.

A path may come in several rows: once per split, which may label it otherwise, and once per caption.
A row with an empty `split` is a video of no split, and one with a start or an end is that part of
its file. Kinetics' official table gives YouTube ids and times instead of paths.
"""

from pathlib import Path

from vifistore.errors import UsageError
from vifistore.videos.class_search import class_files_of
from vifistore.videos.draft import Draft
from vifistore.videos.list_rows import Rows, read_rows
from vifistore.videos.listed_times import listed_stretch
from vifistore.videos.match import clip_name
from vifistore.videos.readers.entries import add_lines
from vifistore.videos.records import Line
from vifistore.videos.stretches import Stretch
from vifistore.videos.text_lines import some


def read_table(source: Path, draft: Draft, class_file: Path | None) -> None:
    """The videos, splits, ids and captions of a table or a list.

    Raises UsageError with the line for what cannot be read.
    """
    rows = read_rows(source)
    if class_file is not None and "label" not in rows.roles and "caption" in rows.roles:
        raise UsageError(f"{source.name} gives captions and no classes; leave --labels out")
    draft.notes += rows.notes
    unread = set(range(len(rows.header))) - set(rows.roles.values())
    if unread:
        named = some(rows.header[column].lower() for column in unread)
        draft.notes.append(f"{source.name}: columns not read: {named}")
    add_lines(
        source,
        _lines(rows, source.name),
        rows.digest,
        draft,
        class_files_of(source, class_file),
        names_splits="split" in rows.roles,
        match="youtube" if "youtube" in rows.roles else "",
    )


def parse_list(source: Path) -> tuple[list[Line], str]:
    """The videos of a list in its order, and its digest. Raises UsageError with the line number."""
    rows = read_rows(source)
    return _lines(rows, source.name), rows.digest


def _lines(rows: Rows, name: str) -> list[Line]:
    lines = []
    for number, fields in rows.records:
        where = f"{name} line {number}"
        caption = rows.value(fields, "caption")
        path, stretch = _part(rows, fields, where)
        lines.append(
            Line(
                path,
                rows.value(fields, "label"),
                where,
                split=rows.value(fields, "split"),
                id=rows.value(fields, "id"),
                captions=(caption,) if caption else (),
                stretch=stretch,
            )
        )
    return lines


def _part(rows: Rows, fields: list[str], where: str) -> tuple[str, Stretch]:
    """The path of a video, and which part of its file it is."""
    role = "youtube" if "youtube" in rows.roles else "path"
    path = rows.value(fields, role)
    if not path:
        column = rows.header[rows.roles[role]].lower() if rows.header else "the path"
        raise UsageError(f"{where}: {column} is empty; fill it or drop the row")
    stretch = listed_stretch(rows.value(fields, "start"), rows.value(fields, "end"), where)
    return (path if role == "path" else clip_name(path, stretch, where)), stretch
