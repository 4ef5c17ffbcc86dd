"""Tables of a results folder: CSV files with columns that are needed, and further ones.

People open them in a spreadsheet, which would run some cells: a class, a video or a prompt may be
called `=HYPERLINK(...)`. Such a text gets an apostrophe in front (OWASP, "CSV Injection"), which
our own readers take off again. Numbers stay as they are, those of float32 in their shortest digits.
"""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.results.whole_files import damaged, write_text
from vifistore.short_numbers import shortest

if TYPE_CHECKING:
    import pandas as pd

_NAME_COLUMNS = (
    *("panel", "id", "label", "dataset", "class", "subset", "metric", "step", "features"),
    *("true", "predicted", "most_confused_with", "protocol", "split", "fusion", "classifier"),
    "feature_set",
)
# Apostrophes before it count: else one that belongs to the text would be taken off.
_RUN = re.compile(r"'*[=+\-@\t\r]")
_MARK = "'"

# Every text: Python before 3.13 leaves one bare that a carriage return cuts in two.
QUOTING = csv.QUOTE_NONNUMERIC


def safe_cell(value: object) -> object:
    """A text as a cell that no spreadsheet runs, a number in its shortest digits; anything else as
    it is."""
    if isinstance(value, float):
        return shortest(value)
    return _MARK + value if isinstance(value, str) and _RUN.match(value) else value


def plain_cell(value: object) -> object:
    """What `safe_cell` was given."""
    if isinstance(value, str) and value.startswith(_MARK) and _RUN.match(value):
        return value[1:]
    return value


def to_safe_csv(frame: "pd.DataFrame") -> str:
    """A table as CSV, the names of its columns as the first line."""
    return frame.map(safe_cell).to_csv(index=False, quoting=QUOTING)


def write_table(path: Path, table: "pd.DataFrame") -> Path:
    """Write a table; missing folders are made. Returns `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_text(path, to_safe_csv(table))


def read_table(path: Path, needed: Sequence[str], numbers: Sequence[str]) -> "pd.DataFrame":
    """A table with the columns `needed`, of which `numbers` hold numbers; one without rows where
    there is no file. Raises DamagedError."""
    import pandas as pd

    if not path.is_file():
        return pd.DataFrame({name: [] for name in needed})
    try:
        # A class may be called "NA" or "001": columns of names stay as they are written.
        names: dict[Any, Any] = dict.fromkeys(_NAME_COLUMNS, str)
        frame = pd.read_csv(path, dtype=names, keep_default_na=False, na_values=[""])
    except (ValueError, UnicodeDecodeError) as error:
        raise damaged(path, f"is not a CSV file ({error})") from error
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise damaged(path, f"has no column {', '.join(missing)}")
    for name in names.keys() & set(frame.columns):
        frame[name] = frame[name].map(plain_cell)
    for name in numbers:
        # A table without rows has no types.
        if len(frame) and not pd.api.types.is_numeric_dtype(frame[name]):
            raise damaged(path, f"has values in column {name} that are no numbers")
    return frame


def read_tables(folder: Path, needed: Sequence[str], numbers: Sequence[str]) -> "pd.DataFrame":
    """All tables of a folder, and one of its name beside it, as one. Raises DamagedError."""
    import pandas as pd

    paths = [folder.with_suffix(".csv"), *sorted(folder.glob("*.csv"))]
    existing = [path for path in paths if path.is_file()] or paths
    frames = [read_table(path, needed, numbers) for path in existing]
    return pd.concat(frames, ignore_index=True)


def table_records(table: "pd.DataFrame") -> tuple[dict, ...]:
    """One record a row; what is missing is None."""
    return tuple(table.astype(object).where(table.notna(), None).to_dict("records"))
