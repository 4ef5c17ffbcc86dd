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
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from typing import TypeVar

from reports.table_model import NO_NUMBER, Cell, Column, Row, Table, row_label
from vifistore.errors import UnknownNameError, UsageError, first_few, short

logger = logging.getLogger("vifi")

COMMANDS, DASH = "commands", "dash"
_EMPTY = Cell(text=NO_NUMBER)
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
        _tell_unmatched(tables, self.common, "no table has %s %r; there are: %s")
        by_name = {table.name: table for table in tables}
        wanted = _matching(names, self.only) if self.only else names
        shown = [self._shown(by_name[name]) for name in wanted]
        return [table for table in shown if table.num_measured]

    def _shown(self, table: Table) -> Table:
        own = self.by_name.get(table.name, TableOptions())
        _tell_unmatched([table], own, f"table {table.name} has no %s %r; it has: %s")
        return chosen(table, own.over(self.common))


def _tell_unmatched(tables: Sequence[Table], options: TableOptions, words: str) -> None:
    """Log which patterns and old names are those of nothing in these tables."""
    rows = [names for table in tables for names in _row_names(table.rows)]
    columns = [names for table in tables for names in _column_names(table.columns)]
    parts = [(part,) for table in tables for part in _parts(table)]
    # Each with the names that may be meant by it, of which one is enough.
    for kind, wanted, named in (
        ("row", _alone(options.rows), rows),
        ("column", _alone(options.columns), columns),
        ("row or column", _alone(options.without), [*rows, *columns]),
        ("label", _old_names(options.labels), [*rows, *columns, *parts]),
    ):
        there = first_few(dict.fromkeys(names[-1] for names in named), 6, 30)
        known = [name for names in named for name in names]
        for either in wanted:
            if not _matching(known, either):
                logger.warning(words, kind, short(either[-1]), there)


def _alone(patterns: Iterable[str]) -> list[tuple[str, ...]]:
    return [(pattern,) for pattern in patterns]


def _old_names(labels: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Of each label what it is another name of: of `K = 2=two` either sign may end the old name."""
    of_text = defaultdict(list)
    for old, new in labels.items():
        of_text[f"{old}={new}"].append(old)
    return [tuple(names) for names in of_text.values()]


def _parts(table: Table) -> list[str]:
    """What labels may rename, beside whole rows and columns."""
    of_rows = (part for row in table.rows for part in (row.label, row.detail, row.section))
    of_columns = (part for column in table.columns for part in (column.heading, column.group))
    return [part for part in (*of_rows, *of_columns) if part]


def chosen(table: Table, options: TableOptions) -> Table:
    """A table with what the options want of it. Patterns that match nothing are passed over, and
    where none of those that are wanted matches all is kept. What is left out is left out, if
    nothing remains."""
    row_places = _kept(_row_names(table.rows), options.rows, options.without)
    places = _kept(_column_names(table.columns), options.columns, options.without)
    rows = [table.rows[place] for place in row_places]
    columns = [table.columns[place] for place in places]
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
    found = [name for pattern in patterns for name in names if _is(name, pattern)]
    return list(dict.fromkeys(found))


def _kept(
    named: Sequence[Sequence[str]], patterns: Sequence[str], without: Sequence[str]
) -> list[int]:
    """Places of the rows or columns of such names that a pattern matches, in the order of the
    patterns, without those that another does. Two may be called the same."""
    kept = [place for place, names in enumerate(named) if not _is_any(names, without)]
    wanted = [place for one in patterns for place in kept if _is_any(named[place], (one,))]
    return list(dict.fromkeys(wanted)) or kept


def _is_any(names: Iterable[str], patterns: Sequence[str]) -> bool:
    return any(_is(name, pattern) for name in names for pattern in patterns)


def _is(name: str, pattern: str) -> bool:
    """Whether a name is what a pattern says, or the pattern itself: names hold brackets, too."""
    return name == pattern or fnmatchcase(name, pattern)


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
