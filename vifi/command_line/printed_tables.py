"""Records on standard output: as a table for readers, as CSV or as JSON."""

import sys
from collections.abc import Mapping, Sequence
from typing import Literal

from harness.results.csv_tables import to_safe_csv
from vifi.command_line.console import print_json, printable, say

TableFormat = Literal["table", "csv", "json"]
_WIDEST = 40


def print_records(records: Sequence[Mapping[str, object]], how: TableFormat) -> None:
    """Print records that have the same keys; not-a-number is nothing.

    A table leaves out what no record has, and what all share is said above it.
    """
    records = [{key: _known(value) for key, value in record.items()} for record in records]
    if how == "json":
        print_json({"rows": records})
    elif how == "csv":
        from pandas import DataFrame

        sys.stdout.write(to_safe_csv(DataFrame(records)))
    else:
        _print_table(records)


def _known(value: object) -> object:
    return None if isinstance(value, float) and value - value != 0 else value


def _print_table(records: Sequence[Mapping[str, object]]) -> None:
    texts = [{key: _text(value) for key, value in record.items()} for record in records]
    keys = [key for key in texts[0] if any(text[key] for text in texts)]
    same = [key for key in keys if len(texts) > 1 and len({text[key] for text in texts}) == 1]
    if same:
        say(", ".join(f"{key} {texts[0][key]}" for key in same))
    keys = [key for key in keys if key not in same]
    is_number = {key: _holds_numbers(records, key) for key in keys}
    widths = {key: max(len(key), *(len(text[key]) for text in texts)) for key in keys}
    for text in [{key: key for key in keys}, *texts]:
        cells = [
            text[key].rjust(widths[key]) if is_number[key] else text[key].ljust(widths[key])
            for key in keys
        ]
        say("  ".join(cells).rstrip())


def _holds_numbers(records: Sequence[Mapping[str, object]], key: str) -> bool:
    return all(isinstance(record[key], int | float | None) for record in records)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) >= 1e-4 or value == 0 else f"{value:.1g}"
    text = printable(str(value))
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."
