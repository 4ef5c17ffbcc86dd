"""Flags of what tables show, and the file that says it at more length."""

from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from reports.layouts.table_options import ReportTables, TableOptions, parse_tables
from vifi.study.study_document import read_document
from vifistore.errors import UsageError, short


@dataclass(frozen=True, kw_only=True)
class TableFlags:
    """What tables show; flags are of all tables, and come before what the file says."""

    tables: Path | None = None
    """TOML file, of a study or with its [tables] alone, which says it of all tables or of each."""
    only: tuple[str, ...] = ()
    """Tables to write, by the names of their files, in this order; * stands for anything."""
    rows: tuple[str, ...] = ()
    """Rows of tables by their labels, in this order; * stands for anything."""
    columns: tuple[str, ...] = ()
    """Columns by their headings, likewise."""
    without: tuple[str, ...] = ()
    """Rows and columns to leave out, likewise."""
    rename: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """OLD=NEW: another name for a row, a part of its label, a column or a section."""
    missing: str = ""
    """What stands in cells without a number: commands, or dash. Default: commands beside the
    paper's numbers, a dash elsewhere."""


def wanted_tables(flags: TableFlags) -> ReportTables:
    """What file and flags say. Raises UsageError for what is odd in them."""
    given = ReportTables() if flags.tables is None else _of_file(flags.tables)
    own = TableOptions(
        rows=flags.rows,
        columns=flags.columns,
        without=flags.without,
        labels={old: new for text in flags.rename for old, new in _names(text).items()},
        missing=flags.missing,
    )
    return replace(given, common=own.over(given.common), only=flags.only or given.only)


def _of_file(path: Path) -> ReportTables:
    tables = read_document(path).get("tables")
    if not isinstance(tables, dict):
        told = "has none" if tables is None else "tables is no table"
        raise UsageError(f"--tables {short(path)}: {told}; write [tables] or [tables.NAME]")
    return parse_tables(tables)


def _names(text: str) -> dict[str, str]:
    """The new name by the old one; of `K = 2=two`, where either sign may be the one between them,
    by each that the old one can be."""
    ends = [place for place, sign in enumerate(text) if sign == "=" and 0 < place < len(text) - 1]
    found = {text[:place]: text[place + 1 :] for place in ends}
    if not found:
        raise UsageError(f"--rename {short(repr(text))} is no OLD=NEW; give both names")
    return found
