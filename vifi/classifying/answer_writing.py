"""What videos were taken for, as a table to read, as CSV and as a document."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from harness.results.csv_tables import QUOTING, safe_cell
from vifi.command_line.console import printable

if TYPE_CHECKING:
    from harness.labelling import LabelShares

_DONE = "done"


def to_lines(found: "Sequence[LabelShares]", *, moments: bool) -> Iterator[str]:
    """Lines of a table: the video, the seconds of a moment, labels with their probabilities."""
    rows = [[*_place(line, moments=moments), *_answers(line)] for line in found]
    columns = max(map(len, rows))
    widths = [
        max((len(row[at]) for row in rows if at < len(row)), default=0) for at in range(columns)
    ]
    for row in rows:
        yield "  ".join(map(str.ljust, row, widths)).rstrip()


def to_csv_text(found: "Sequence[LabelShares]", top: int, *, moments: bool) -> str:
    """A line per video or moment, below the names of the columns; an empty cell is not known."""
    rows = [line.as_row(top) for line in found]
    unasked = () if moments else ("start_seconds", "end_seconds")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n", quoting=QUOTING)
    writer.writerow(name for name in rows[0] if name not in unasked)
    for row in rows:
        cells = [cell for name, cell in row.items() if name not in unasked]
        writer.writerow("" if cell is None else safe_cell(cell) for cell in cells)
    return buffer.getvalue()


def to_documents(found: "Iterable[LabelShares]", *, moments: bool) -> list[dict]:
    """A document per video: its predictions, or its moments with theirs."""
    return [
        _document(list(lines), moments=moments)
        for _, lines in groupby(found, key=lambda line: line.row)
    ]


def _document(lines: "list[LabelShares]", *, moments: bool) -> dict:
    (first, *_) = lines
    head = {name: getattr(first, name) for name in ("id", "path", "state", "reason")}
    if not moments:
        return {**head, "predictions": _predictions(first)}
    times = ("start_seconds", "end_seconds")
    parts = [
        {**{name: getattr(line, name) for name in times}, "predictions": _predictions(line)}
        for line in lines
        if line.state == _DONE
    ]
    return {**head, "moments": parts}


def _predictions(line: "LabelShares") -> list[dict]:
    return [{"label": label, "probability": share} for label, share in _pairs(line)]


def _pairs(line: "LabelShares") -> list[tuple[str, float]]:
    return list(zip(line.labels, line.probabilities, strict=True))


def _place(line: "LabelShares", *, moments: bool) -> list[str]:
    cells = [printable(line.id)]
    if moments:
        is_known = line.start_seconds is not None and line.end_seconds is not None
        cells.append(f"{line.start_seconds:.1f}-{line.end_seconds:.1f} s" if is_known else "")
    return cells


def _answers(line: "LabelShares") -> list[str]:
    if line.state != _DONE:
        return [printable(f"{line.state}: {line.reason}" if line.reason else line.state)]
    return [f"{printable(label)} {probability:.3f}" for label, probability in _pairs(line)]
