"""Tables wider than a page, in parts that can be read when they are as wide as it is."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from reports.table_model import NO_NUMBER, Cell, Column, Row, Table, cell_text, row_label

# Points that a page of 6.875 inches takes at six tenths of the size.
MAX_WIDTH = 497 / 0.6
# Signs of a label that its detail no longer stands beside.
_LONG = 36
# Signs of a heading that stands in one line.
_LONG_HEADING = 14
# Mean width of a sign in \\normalsize and in \\scriptsize, and what stands between two columns.
_SIGN, _SMALL_SIGN, _GAP = 5.0, 3.9, 12.0


def narrow(table: Table) -> list[Table]:
    """The same rows in as few tables as are legible; columns of one group stay together.

    Rows that have nothing in the columns of a part are left out of it.
    """
    kept = _fitting(table)
    if len(kept) == 1:
        return [table]
    return [_only(table, places) for places in kept]


def label_lines(row: Row) -> tuple[str, str]:
    """The label of a row, and what is set small below it where both are long."""
    whole = row_label(row)
    if len(whole) <= _LONG or whole == row.label:
        return whole, ""
    return row.label, whole.removeprefix(row.label).strip()


def heading_lines(heading: str) -> list[str]:
    """The heading of a column in a line, or in two where it is much longer than its numbers."""
    first, minus, other = heading.partition(" minus ")
    if not minus or len(heading) <= _LONG_HEADING:
        return [heading]
    return [first, f"minus {other}"]


def _fitting(table: Table) -> list[list[int]]:
    """Places of the columns of each part."""
    room = MAX_WIDTH - max([_label_width(row) for row in table.rows], default=0.0)
    parts: list[list[int]] = [[]]
    left = room
    for places in _units(table, room):
        width = _width(table, places)
        if parts[-1] and width > left:
            parts.append([])
            left = room
        parts[-1] += places
        left -= width
    return parts


def _units(table: Table, room: float) -> Iterator[list[int]]:
    """Columns that are not parted: those of a group, or each one of a group that is too wide."""
    places = range(len(table.columns))
    for _, group in itertools.groupby(places, key=lambda place: table.columns[place].group):
        together = list(group)
        yield from [together] if _width(table, together) <= room else [[one] for one in together]


def _width(table: Table, places: Sequence[int]) -> float:
    widths = [_GAP + _column_width(table, place) for place in places]
    return max(sum(widths), _GAP + _SIGN * len(table.columns[places[0]].group))


def _column_width(table: Table, place: int) -> float:
    column = table.columns[place]
    cells = [_cell_width(table, column, row.cells[place]) for row in table.rows]
    return max([_SIGN * len(line) for line in heading_lines(column.heading)] + cells)


def _cell_width(table: Table, column: Column, cell: Cell) -> float:
    text = cell_text(table, column, cell)
    main = 2 if text.run else len(text.main)
    return max(_SIGN * main + _SMALL_SIGN * len(text.marks), _SMALL_SIGN * len(text.interval))


def _label_width(row: Row) -> float:
    label, detail = label_lines(row)
    return max(_SIGN * len(label), _SMALL_SIGN * len(detail))


def _only(table: Table, places: Sequence[int]) -> Table:
    columns = tuple(table.columns[place] for place in places)
    rows = [replace(row, cells=tuple(row.cells[place] for place in places)) for row in table.rows]
    filled = [row for row in rows if any(map(_is_filled, row.cells))]
    return replace(table, columns=columns, rows=tuple(filled or rows))


def _is_filled(cell: Cell) -> bool:
    return cell.is_measured or cell.text not in ("", NO_NUMBER)
