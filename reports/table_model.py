"""The one table model that every layout makes and every writer reads.

A row is either the paper's (`origin="paper"`) or measured (`origin="here"`). A number is in the
unit its column says; accuracies are percent with one decimal, as the paper prints them.
"""

import itertools
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

# Said above the commands that make feature sets and files.
SOURCES_TOLD = (
    "The feature sets and files that they name come from these (S is the store, D a data set, N "
    "the last step in eight digits):"
)
MINUS = "\u2212"
# In cells that have no number.
NO_NUMBER = "\u2013"


@dataclass(frozen=True, kw_only=True)
class Note:
    """A footnote, and where it can be checked."""

    text: str
    """What is to be known about the cells that carry it."""
    source: str = ""
    """Where that can be checked."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One number with its interval, or the command that would measure it."""

    value: float | None = None
    """The number, None where there is none."""
    low: float | None = None
    """Lower end of the 95% interval."""
    high: float | None = None
    """Upper end of the 95% interval."""
    std: float | None = None
    """Standard deviation over splits or seeds."""
    difference: float | None = None
    """This number minus the paper's."""
    text: str = ""
    """Shown instead of `value`: the paper's own spelling of a number, or a word."""
    command: str = ""
    """The `vifi` command that fills this cell; empty for a filled one."""
    notes: tuple[str, ...] = ()
    """Keys of `Table.notes`."""
    source: str = ""
    """Feature set that gave the number."""
    is_part: bool = False
    """Whether the number is of a part of a published list: it stands beside no other's."""
    number: str = ""
    """Name of the result row that it is (`ResultRow.number_name`); empty for what is no row."""

    @property
    def is_measured(self) -> bool:
        """Whether the cell holds a number (also one that is not defined)."""
        return self.value is not None


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of numbers."""

    heading: str
    """Its own heading."""
    group: str = ""
    """Heading it shares with its neighbours, such as a dataset."""
    decimals: int = 1
    """Digits after the point."""
    is_chance: bool = False
    """Whether its numbers are p-values, of which none is nothing: `<0.001` for a smaller one."""

    @property
    def title(self) -> str:
        """Both headings in one line."""
        return f"{self.group} {self.heading}".strip()


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method, as the paper has it or as it was measured."""

    label: str
    """Method or feature set."""
    detail: str = ""
    """What tells it from rows with the same label."""
    section: str = ""
    """Heading of the rows it stands among."""
    origin: str = ""
    """`paper`, `here`, or empty where the table has only one kind of row."""
    cells: tuple[Cell, ...]
    """One per column."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A whole table; `name` is the stem of its files."""

    name: str
    """Stem of the files written from it."""
    title: str
    """A few words."""
    caption: str
    """What the numbers are: metric, unit, interval."""
    corner: str = "Method"
    """Heading of the first column."""
    columns: tuple[Column, ...]
    """Columns of numbers, left to right."""
    rows: tuple[Row, ...]
    """Rows, top to bottom."""
    notes: Mapping[str, Note] = field(default_factory=dict)
    """Footnotes by key."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Feature set that a command may name -> the command that makes it."""

    def __post_init__(self) -> None:
        for row in self.rows:
            assert len(row.cells) == len(self.columns), (self.name, row.label)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, row by row."""
        return tuple(cell for row in self.rows for cell in row.cells)

    @property
    def sections(self) -> list[tuple[str, list[Row]]]:
        """Headings, each with the rows that stand under it, top to bottom."""
        groups = itertools.groupby(self.rows, key=lambda row: row.section)
        return [(section, list(rows)) for section, rows in groups]

    @property
    def num_measured(self) -> int:
        """Cells which hold a number of ours."""
        rows = (row for row in self.rows if row.origin != "paper")
        return sum(cell.is_measured for row in rows for cell in row.cells)

    @property
    def has_paper(self) -> bool:
        """Whether rows of the paper stand among ours."""
        return any(row.origin == "paper" for row in self.rows)

    @property
    def commands(self) -> tuple[str, ...]:
        """Commands that fill the empty cells; a cell shows its place in this list, from 1."""
        return tuple(dict.fromkeys(cell.command for cell in self.cells if cell.command))

    @property
    def used_sources(self) -> dict[str, str]:
        """The feature sets that commands of empty cells name, with what makes them."""
        named = {word for command in self.commands for word in shlex.split(command)}
        return {name: command for name, command in self.sources.items() if name in named}

    @property
    def used_notes(self) -> tuple[str, ...]:
        """Keys of the footnotes in the order they are met; the first is shown as `a`."""
        return tuple(dict.fromkeys(key for cell in self.cells for key in cell.notes))

    def mark(self, key: str) -> str:
        """The letter of a footnote; after `z` comes `aa`, then `bb`."""
        rounds, letter = divmod(self.used_notes.index(key), 26)
        return chr(ord("a") + letter) * (rounds + 1)

    @property
    def groups(self) -> tuple[tuple[str, int], ...]:
        """Shared headings with the number of columns under each, left to right."""
        groups = itertools.groupby(self.columns, key=lambda column: column.group)
        return tuple((group, len(list(columns))) for group, columns in groups)

    @property
    def has_groups(self) -> bool:
        """Whether any column has a shared heading."""
        return any(column.group for column in self.columns)


@dataclass(frozen=True, kw_only=True)
class CellText:
    """A cell in words, not yet escaped for any format."""

    main: str = ""
    """The number, with its deviation."""
    interval: str = ""
    """The 95% interval in brackets."""
    difference: str = ""
    """Signed distance from the paper's number."""
    run: str = ""
    """Which command of the list below fills the cell."""
    marks: str = ""
    """Letters of its footnotes."""


def cell_text(table: Table, column: Column, cell: Cell) -> CellText:
    """Put one cell into words; every writer escapes and joins them in its own way."""
    marks = ",".join(table.mark(key) for key in cell.notes)
    if cell.command:
        return CellText(run=f"run {table.commands.index(cell.command) + 1}", marks=marks)
    if cell.text or cell.value is None:
        return CellText(main=cell.text, marks=marks)
    if not math.isfinite(cell.value):
        return CellText(main="undefined", marks=marks)
    least = 10.0**-column.decimals
    if column.is_chance and cell.value < least:
        return CellText(main=f"<{least:.{column.decimals}f}", marks=marks)
    main = format_number(cell.value, column.decimals)
    if cell.std is not None:
        main += f" ± {format_number(cell.std, column.decimals)}"
    interval = difference = ""
    if cell.low is not None and cell.high is not None:
        ends = (format_number(end, column.decimals) for end in (cell.low, cell.high))
        interval = f"[{', '.join(ends)}]"
    if cell.difference is not None:
        difference = format_number(cell.difference, column.decimals, signed=True)
    return CellText(main=main, interval=interval, difference=difference, marks=marks)


def row_label(row: Row) -> str:
    """Label of a row with what tells it from its neighbours."""
    extra = ", ".join(part for part in (row.detail, row.origin) if part)
    return f"{row.label} ({extra})" if extra else row.label


def format_number(value: float, decimals: int = 1, *, signed: bool = False) -> str:
    """A number with a true minus sign; zero has no sign."""
    text = f"{abs(value):.{decimals}f}"
    if float(text) == 0:
        return text
    return (MINUS if value < 0 else "+" if signed else "") + text
