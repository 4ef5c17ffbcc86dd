"""A CSV (or tab-separated) table: header `path[,label][,split][,id][,caption]`, a row per video.

A path may come in several rows: once per split, which may label it otherwise, and once per caption.
A row with an empty `split` is a video of no split. A table without paths names videos by their ids.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from vifistore.errors import UnknownNameError, UsageError
from vifistore.videos.class_search import class_files_of
from vifistore.videos.draft import Draft
from vifistore.videos.readers.labels import Line, class_labels
from vifistore.videos.readers.lists import match_of, split_name
from vifistore.videos.text import read_text, some

COLUMNS = ("path", "label", "split", "id", "caption")

# One field is never longer than this many characters; the csv module would stop at 131,072.
_FIELD_LIMIT = 1 << 20


def is_table_of_ids(columns: Sequence[str]) -> bool:
    """True for the header of a table that says something of videos without their paths."""
    return "path" not in columns and "id" in columns and bool({"label", "split"} & set(columns))


def read_table(source: Path, draft: Draft, class_file: Path | None) -> None:
    """The videos, splits, ids and captions of a table."""
    columns, records, digest = parse_table(source, "path")
    if _is_by_id(columns, records, draft):
        records = [(where, {**record, "path": record["id"]}) for where, record in records]
    unknown = [column for column in columns if column not in COLUMNS]
    if unknown:
        draft.notes.append(f"{source.name}: columns not read: {some(unknown)}")
    lines = [Line(record["path"], record.get("label", ""), where) for where, record in records]
    draft.match = match_of([line.path for line in lines])
    labels, names = class_labels(lines, class_files_of(source, class_file), draft, source)
    rows = []
    for (where, record), label in zip(records, labels, strict=True):
        row = draft.video(record["path"], where=where, label=label)
        rows.append(row)
        _add_id(draft, row, record.get("id", ""), where)
        if record.get("caption"):
            draft.captions.append((row, record["caption"]))
    draft.names_splits = "split" in columns
    members = [record.get("split", split_name(source.stem)) for _, record in records]
    add_splits(draft, members, rows, labels, names, source=source.name, digest=digest)


def _is_by_id(
    columns: Sequence[str], records: Sequence[tuple[str, dict[str, str]]], draft: Draft
) -> bool:
    """Whether ids name the videos: where there are no paths, and among videos known by ids."""
    known = getattr(draft.tree, "ids", None) or ()
    return "path" not in columns or any(record.get("id") in known for _, record in records)


def add_splits(
    draft: Draft,
    members: Sequence[str],
    rows: Sequence[int],
    labels: Sequence[str],
    class_names: Sequence[str],
    *,
    source: str,
    digest: str,
) -> None:
    """One split per name in `members`, which gives each row's split or "" for none."""
    # A video with several captions fills several rows of its split: each is kept once.
    inside: dict[str, dict[tuple[int, str], None]] = {}
    for split, row, label in zip(members, rows, labels, strict=True):
        if split:
            inside.setdefault(split, {})[row, label] = None
    for split, pairs in inside.items():
        split_rows, split_labels = zip(*pairs, strict=True)
        draft.add_split(
            split, split_rows, split_labels, class_names=class_names, source=source, digest=digest
        )


def parse_table(
    source: Path, path_column: str
) -> tuple[list[str], list[tuple[str, dict[str, str]]], str]:
    """Column names (lower case), per row its place in the file and its fields, and the digest.

    Commas or tabs part the fields, whichever the header holds. Raises UsageError with the line.
    """
    text, digest = read_text(source)
    csv.field_size_limit(_FIELD_LIMIT)
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns: list[str] = []
    records = []
    try:
        for fields in reader:
            where = f"{source.name} line {reader.line_num}"
            fields = [field.strip() for field in fields]
            if not any(fields):
                continue
            if columns:
                records.append((where, _record(columns, fields, where, path_column)))
            else:
                columns = _columns(fields, source, path_column)
    except csv.Error as error:
        raise UsageError(f"{source.name} line {reader.line_num}: {error}; mend the line") from error
    if not records:
        raise UsageError(f"{source} lists no video; write one row for each below the header")
    return columns, records, digest


def _columns(fields: list[str], source: Path, path_column: str) -> list[str]:
    columns = [field.lower() for field in fields]
    is_enough = path_column in columns or (path_column == "path" and is_table_of_ids(columns))
    if not is_enough:
        raise UnknownNameError("columns", ",".join(fields), COLUMNS, f"{path_column} is needed.")
    if len(set(columns)) < len(columns):
        raise UsageError(f"{source.name} line 1: a column comes twice; name each once")
    return columns


def _record(columns: list[str], fields: list[str], where: str, path_column: str) -> dict[str, str]:
    if len(fields) != len(columns):
        raise UsageError(
            f"{where}: {len(fields)} fields under {len(columns)} columns; "
            "quote a field that holds a comma"
        )
    record = dict(zip(columns, fields, strict=True))
    name = path_column if path_column in record else "id"
    if not record[name]:
        raise UsageError(f"{where}: {name} is empty; fill it or drop the row")
    return record


def _add_id(draft: Draft, row: int, id: str, where: str) -> None:
    if id and draft.ids.setdefault(row, id) != id:
        raise UsageError(f"{where}: {draft.paths[row]} has two ids; give each video one")
