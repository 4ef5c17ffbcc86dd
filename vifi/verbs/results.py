"""`vifi results DIR`: the numbers of a results folder, chosen by conditions, for other tools."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from harness.results import read_rows
from harness.results.conditions import row_fields, rows_where
from vifi.command_line.console import parse
from vifi.command_line.printed_tables import TableFormat, print_records
from vifistore.errors import UnknownNameError, UsageError

# What a reader wants of a row; columns that say nothing are left out of a table.
_SHOWN = (
    *("name", "dataset", "split", "protocol", "subset", "classifier", "fusion", "num_frames"),
    *("num_views", "shots", "seed", "ranking", "lever", "metric"),
    *("value", "ci_low", "ci_high", "num_videos"),
)


@dataclass(frozen=True, kw_only=True)
class ResultsArguments:
    """Print result rows: all of a folder, or those of which every --where holds.

    Shares are fractions. A key is a field of a row, `name`, or what a row tells of its making
    (command, model, time, ...).
    """

    results: tyro.conf.Positional[Path]
    """Results folder, as written by --results of evaluate and ablate, or the folder of a study."""
    where: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """A condition as "dataset=ucf101", "metric=top1|top5", "value>0.5" or "name=full-*"; of
    several, each behind a --where, all hold. * stands for anything, an empty value for nothing."""
    columns: tuple[str, ...] = ()
    """Keys to print, in this order; default: what a reader wants, and all of them as CSV or
    JSON."""
    sort: str = ""
    """Key to sort by, largest number first; as they were written if empty."""
    format: TableFormat = "table"
    """table for readers; csv (safe to open in a spreadsheet) or json for programs."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code. Raises UsageError where no row is left."""
    wanted = parse("results", ResultsArguments, arguments, repeatable=("--where",))
    rows = rows_where(read_rows(wanted.results), wanted.where)
    if not rows:
        told = "of these conditions" if wanted.where else "yet"
        raise UsageError(f"{wanted.results} has no result row {told}; leave out a --where")
    records = [row_fields(row) for row in rows]
    known = dict.fromkeys(key for record in records for key in record)
    for key in filter(None, (*wanted.columns, wanted.sort)):
        if key not in known:
            raise UnknownNameError("key", key, known)
    if wanted.sort:
        records.sort(key=lambda record: _order(record.get(wanted.sort)))
    shown = wanted.columns or (_SHOWN if wanted.format == "table" else tuple(known))
    print_records([{key: r.get(key) for key in shown} for r in records], wanted.format)
    return 0


def _order(value: object) -> tuple[Literal[0, 1, 2], float, str]:
    """Numbers from the largest, then texts by the alphabet, then what is not there."""
    if isinstance(value, int | float) and value == value:
        return 0, -value, ""
    return (1, 0.0, value) if isinstance(value, str) and value else (2, 0.0, "")
