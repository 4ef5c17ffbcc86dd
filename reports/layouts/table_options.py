"""What of a table is shown, in which order and under which names, as a study file or flags say.

[tables]                            # of all tables
missing = "dash"                    # what stands in cells without a number; or "commands"
labels = { "full-emb" = "Ours" }    # other names of rows, details, columns and sections
only = ["zero-shot", "table1"]      # which tables there are, in this order

[tables.zero-shot]                  # of one table, by the name of its files
rows = ["vanilla*", "full-*"]       # rows by their labels, in this order; * stands for anything
columns = ["*Top-1"]                # columns by their headings, likewise
without = ["*k-nn*"]                # rows and columns that are left out
title = "..."
caption = "..."
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from typing import TypeVar

from reports.table_model import Cell, Column, Row, Table, row_label
from vifistore.errors import UnknownNameError, UsageError, first_few, short

logger = logging.getLogger("vifi")

COMMANDS, DASH = "commands", "dash"
_EMPTY = Cell(text="\u2013")
_Part = TypeVar("_Part", Row, Column)


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """Of one table, or of all."""

    rows: tuple[str, ...] = ()
    """Patterns of labels, in the order wanted; empty for all as they are."""
    columns: tuple[str, ...] = ()
    """Patterns of headings, likewise."""
    without: tuple[str, ...] = ()
    """Patterns of rows and columns that are left out."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """New names by old ones."""
    missing: str = ""
    """commands or dash; empty for commands beside the paper's numbers, a dash elsewhere."""
    title: str = ""
    caption: str = ""

    def __post_init__(self) -> None:
        if self.missing not in ("", COMMANDS, DASH):
            told = f"missing is {short(self.missing)!r}; give {COMMANDS} or {DASH}"
            raise UsageError(told)

    def over(self, others: "TableOptions") -> "TableOptions":
        """These, and the others where these say nothing."""
        mine = {one.name: getattr(self, one.name) for one in fields(self)}
        given = {name: value for name, value in mine.items() if value}
        return replace(others, **{**given, "labels": {**others.labels, **self.labels}})


@dataclass(frozen=True, kw_only=True)
class ReportTables:
    """Of all tables of a report."""

    common: TableOptions = field(default_factory=TableOptions)
    by_name: Mapping[str, TableOptions] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    """Patterns of names of tables, in the order wanted; empty for all."""

    def apply(self, tables: Sequence[Table]) -> list[Table]:
        """The tables as they are wanted; one of which no number of ours is left is left out.

        What is wanted of a table, row or column that there is not is told in the log: a study
        that is half done has not all of them yet.
        """
        names = [table.name for table in tables]
        for name in (*self.by_name, *self.only):
            if not _matching(names, (name,)):
                logger.warning("there is no table %r; there are: %s", short(name), first_few(names))
        by_name = {table.name: table for table in tables}
        wanted = _matching(names, self.only) if self.only else names
        shown = [self._shown(by_name[name]) for name in wanted]
        return [table for table in shown if table.num_measured]

    def _shown(self, table: Table) -> Table:
        own = self.by_name.get(table.name, TableOptions())
        for kind, patterns, named in (
            ("row", own.rows, _row_names(table.rows)),
            ("column", own.columns, _column_names(table.columns)),
        ):
            known = [name for names in named for name in names]
            for pattern in patterns:
                if not _matching(known, (pattern,)):
                    told = first_few(dict.fromkeys(names[-1] for names in named), 6, 30)
                    words = "table %s has no %s %r; it has: %s"
                    logger.warning(words, table.name, kind, short(pattern), told)
        return chosen(table, own.over(self.common))


def chosen(table: Table, options: TableOptions) -> Table:
    """A table with what the options want of it. Patterns that match nothing are passed over, but
    where none matches all is kept."""
    rows = _kept(table.rows, options.rows, options.without, _row_names)
    columns = _kept(table.columns, options.columns, options.without, _column_names)
    places = [table.columns.index(column) for column in columns]
    missing = options.missing or (COMMANDS if table.has_paper else DASH)
    made = [
        replace(row, cells=tuple(_cell(row.cells[place], missing) for place in places))
        for row in rows
    ]
    return replace(
        table,
        title=options.title or table.title,
        caption=options.caption or table.caption,
        columns=tuple(_renamed_column(column, options.labels) for column in columns),
        rows=tuple(_renamed_row(row, options.labels) for row in made),
    )


def parse_tables(document: Mapping) -> ReportTables:
    """The `[tables]` of a study. Raises UsageError for what is odd, UnknownNameError for a key
    that means nothing."""
    own = {name: value for name, value in document.items() if not _is_table(name, value)}
    only = own.pop("only", [])
    if not isinstance(only, list) or not all(isinstance(name, str) for name in only):
        raise UsageError("tables: only is no list of names; give one")
    by_name = {
        name: _options(f"tables.{short(name, 40)}", value)
        for name, value in document.items()
        if _is_table(name, value)
    }
    return ReportTables(common=_options("tables", own), by_name=by_name, only=tuple(only))


def _is_table(name: str, value: object) -> bool:
    return isinstance(value, dict) and name != "labels"


def _options(where: str, values: Mapping) -> TableOptions:
    known = {one.name for one in fields(TableOptions)}
    made = {}
    for key, value in values.items():
        if key not in known:
            raise UnknownNameError(f"key of {where}", key, known)
        is_list = key in ("rows", "columns", "without")
        kind = list if is_list else dict if key == "labels" else str
        parts = value.values() if isinstance(value, dict) else value
        if not isinstance(value, kind) or not all(isinstance(part, str) for part in parts):
            words = {list: "a list of texts", dict: "a table of texts", str: "a text"}
            raise UsageError(f"{where}: {key} is {short(repr(value))}; give {words[kind]}")
        made[key] = tuple(value) if is_list else value
    return TableOptions(**made)


def _row_names(rows: Iterable[Row]) -> list[tuple[str, ...]]:
    return [(row.label, row_label(replace(row, origin=""))) for row in rows]


def _column_names(columns: Iterable[Column]) -> list[tuple[str, ...]]:
    return [(column.heading, column.title) for column in columns]


def _matching(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    found = [name for pattern in patterns for name in names if fnmatchcase(name, pattern)]
    return list(dict.fromkeys(found))


def _kept(
    parts: Sequence[_Part],
    patterns: Sequence[str],
    without: Sequence[str],
    names_of: Callable[[Iterable[_Part]], list[tuple[str, ...]]],
) -> list[_Part]:
    """Rows or columns that a pattern matches, in the order of the patterns, without those that
    another does."""
    named = list(zip(parts, names_of(parts), strict=True))
    kept = [(part, names) for part, names in named if not _is_any(names, without)] or named
    if not patterns or not any(_is_any(names, patterns) for _, names in kept):
        return [part for part, _ in kept]
    found: list[_Part] = []
    for pattern in patterns:
        found += [part for part, names in kept if _is_any(names, (pattern,)) and part not in found]
    return found


def _is_any(names: Iterable[str], patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _cell(cell: Cell, missing: str) -> Cell:
    return _EMPTY if cell.command and missing == DASH else cell


def _renamed_row(row: Row, labels: Mapping[str, str]) -> Row:
    whole = row_label(replace(row, origin=""))
    if whole in labels:
        return replace(row, label=labels[whole], detail="", section=_new(row.section, labels))
    parts = {name: _new(getattr(row, name), labels) for name in ("label", "detail", "section")}
    return replace(row, **parts)


def _renamed_column(column: Column, labels: Mapping[str, str]) -> Column:
    if column.title in labels:
        return replace(column, heading=labels[column.title], group="")
    return replace(column, heading=_new(column.heading, labels), group=_new(column.group, labels))


def _new(name: str, labels: Mapping[str, str]) -> str:
    return labels.get(name, name)
