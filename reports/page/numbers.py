"""The result rows behind the tables: what a number links to, and what made it."""

from collections.abc import Iterable, Sequence

from reports.layouts.cells import metric_heading
from reports.measurements import Measurement
from reports.table_model import Table, format_number

MAX_NUMBERS = 3000
_FIELDS = {
    "features": "",
    "dataset": "dataset",
    "split": "split",
    "protocol": "protocol",
    "classes": "subset",
    "classifier": "classifier",
    "fusion": "fusion",
    "frames": "num_frames",
    "views": "num_views",
    "shots": "shots",
    "seed": "seed",
    "lever": "lever",
}


def numbers(
    tables: Iterable[Table], measured: Sequence[Measurement], commands: Sequence[str]
) -> dict:
    """An entry for each number that a table shows, and for what it is a mean of; empty for none.

    `commands` are those of the page, in their order.
    """
    shown = {cell.number for table in tables for cell in table.cells} - {""}
    wanted = [m for m in measured if m.number in shown]
    every = [one for m in wanted for one in (m, *m.parts)]
    entries = [_entry(m, commands) for m in every[:MAX_NUMBERS]]
    if not entries:
        return {}
    told = [name for name in _FIELDS if len({entry[name] for entry in entries}) > 1]
    return {
        "headings": [*(told or ["features"]), "metric", "value", "videos"],
        "entries": entries,
        "more": max(0, len(every) - MAX_NUMBERS),
    }


def _entry(measurement: Measurement, commands: Sequence[str]) -> dict:
    row = measurement.row
    command = str(row.provenance.get("command", ""))
    known = {name: _word(getattr(row, field)) for name, field in _FIELDS.items() if field}
    return {
        **known,
        "features": measurement.name,
        "name": measurement.number,
        "metric": metric_heading(row.metric),
        "value": _in_words(measurement),
        "sorted": measurement.value,
        "videos": f"{row.num_videos:,}",
        "parts": [
            {"name": part.number, "of": part.row.split if row.seed is None else part.name}
            for part in measurement.parts
        ],
        "command": commands.index(command) + 1 if command in commands else 0,
    }


def _word(value: object) -> str:
    return "" if value is None else str(value)


def _in_words(measurement: Measurement) -> str:
    """With its interval or deviation."""
    if not measurement.is_defined:
        return "undefined"
    text = format_number(measurement.value, 2)
    if measurement.std is not None:
        text += f" ± {format_number(measurement.std, 2)}"
    if measurement.low is not None and measurement.high is not None:
        ends = (format_number(end, 2) for end in (measurement.low, measurement.high))
        text += f" [{', '.join(ends)}]"
    return text
