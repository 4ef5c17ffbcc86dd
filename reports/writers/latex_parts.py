"""Tables longer or wider than a page, in parts that fit one."""

from collections.abc import Sequence
from dataclasses import replace

from reports.table_model import Row, Table
from reports.writers.latex_columns import label_lines, narrow

# Lines of \normalsize that a float of a page holds with its caption and notes.
MAX_LINES = 42
_HEAD_LINES = 5
# Of what stands in \\footnotesize across the page.
_SIGNS_A_LINE = 120
_SMALLER = 0.8


def parts(table: Table) -> list[Table]:
    """The same table in as few parts as fit a page each, rows of one label together.

    Only the first has the whole caption.
    """
    split = [part for columns in narrow(table) for part in _short(columns)]
    if len(split) == 1:
        return [table]
    return [
        replace(
            part,
            name=table.name if number == 1 else f"{table.name}-{number}",
            title=f"{table.title}, part {number} of {len(split)}",
            caption=table.caption if number == 1 else "As in the first part.",
        )
        for number, part in enumerate(split, start=1)
    ]


def _short(table: Table) -> list[Table]:
    split: list[list[Row]] = [[]]
    for group in _together(table):
        if split[-1] and _height(table, [*split[-1], *group]) > MAX_LINES:
            split.append([])
        split[-1] += group
    return [replace(table, rows=tuple(rows)) for rows in split]


def _height(table: Table, rows: Sequence[Row]) -> float:
    """Lines of the table with these rows, caption and footnotes included."""
    keys = {key for row in rows for cell in row.cells for key in cell.notes}
    notes = sum(1 + len(table.notes[key].text) // _SIGNS_A_LINE for key in keys)
    sections = len({row.section for row in rows if row.section})
    caption = _HEAD_LINES + len(table.caption) // _SIGNS_A_LINE
    return caption + sections + sum(map(num_lines, rows)) + _SMALLER * notes


def num_lines(row: Row) -> int:
    """Lines that a row takes: its numbers, and below them intervals, differences, a long detail."""
    has_interval = any(cell.low is not None and cell.high is not None for cell in row.cells)
    below = has_interval + any(cell.difference is not None for cell in row.cells)
    return 1 + max(below, bool(label_lines(row)[1]))


def _together(table: Table) -> list[Sequence[Row]]:
    """Rows that stay on one page: the paper's number of a method and ours."""
    groups: list[list[Row]] = []
    for row in table.rows:
        if groups and (groups[-1][-1].label, groups[-1][-1].section) == (row.label, row.section):
            groups[-1].append(row)
        else:
            groups.append([row])
    return [group for run in groups for group in _chunks(run)]


def _chunks(rows: Sequence[Row]) -> list[Sequence[Row]]:
    """Of many rows of one label pairs, so that a page can end between them."""
    return [rows[at : at + 2] for at in range(0, len(rows), 2)]
