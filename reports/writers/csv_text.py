"""A table as CSV: one line per cell, numbers not rounded to the digits shown."""

import csv
import io

from harness.results.csv_tables import QUOTING, safe_cell
from reports.table_model import Cell, Table

FIELDS = (
    "table",
    "section",
    "row",
    "detail",
    "origin",
    "column_group",
    "column",
    "value",
    "ci_low",
    "ci_high",
    "std",
    "difference",
    "text",
    "features",
    "command",
    "notes",
)


def to_csv(table: Table) -> str:
    """`FIELDS` as the first line; an empty field means there is no such number."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n", quoting=QUOTING)
    writer.writerow(FIELDS)
    for row in table.rows:
        place = (table.name, row.section, row.label, row.detail, row.origin)
        for column, cell in zip(table.columns, row.cells, strict=True):
            if cell != Cell():
                words = [*place, column.group, column.heading]
                writer.writerow([*map(safe_cell, words), *_values(cell)])
    return buffer.getvalue()


def _values(cell: Cell) -> list:
    numbers = (cell.value, cell.low, cell.high, cell.std, cell.difference)
    # Percent of a fraction: 0.57 * 100 is 56.99999999999999.
    shown = ["" if number is None else round(float(number), 10) for number in numbers]
    words = [cell.text, cell.source, cell.command, " ".join(cell.notes)]
    return [*shown, *map(safe_cell, words)]
