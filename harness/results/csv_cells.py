"""Cells of CSV files that people open in a spreadsheet, which would run some of them.

A class, a video or a prompt may be called `=HYPERLINK(...)`. Such a text gets an apostrophe in
front (OWASP, "CSV Injection"), which our own readers take off again. Numbers stay as they are.
"""

import csv
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

# Apostrophes before it count: else one that belongs to the text would be taken off.
_RUN = re.compile(r"'*[=+\-@\t\r]")
_MARK = "'"

# Every text: Python before 3.13 leaves one bare that a carriage return cuts in two.
QUOTING = csv.QUOTE_NONNUMERIC


def safe_cell(value: object) -> object:
    """A text as a cell that no spreadsheet runs; anything else as it is."""
    return _MARK + value if isinstance(value, str) and _RUN.match(value) else value


def plain_cell(value: object) -> object:
    """What `safe_cell` was given."""
    is_marked = isinstance(value, str) and value.startswith(_MARK) and _RUN.match(value)
    return value[1:] if is_marked else value


def to_safe_csv(frame: "pd.DataFrame") -> str:
    """A table as CSV, the names of its columns as the first line."""
    return frame.map(safe_cell).to_csv(index=False, quoting=QUOTING)
