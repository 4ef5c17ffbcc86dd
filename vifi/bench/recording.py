"""Rows of benchmarks: one format, one file a benchmark, and how they compare with earlier ones.

A row is one JSON object a line of `NAME.jsonl`: `benchmark`, the fields that say what was measured
(the benchmark's `CASE`), what was found, and the machine (see `vifi.bench.machine`).
"""

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import tyro

from vifi.bench.bench_settings import Bench
from vifi.bench.machine import FIELDS, machine
from vifi.command_line.console import say
from vifistore.errors import UsageError, first_line
from vifistore.files import parse_json, read_regular
from vifistore.training.folder_lock import require_folder

COMMITTED = Path("benchmarks") / "results"
"""Where rows lie that are committed: there is such a folder in a checkout alone."""
_ELSEWHERE = Path("bench")

Settings = TypeVar("Settings", bound=Bench)
Measure = Callable[[Settings], Iterable[dict]]


def in_scratch(measure: Callable[[Settings, Path], Iterable[dict]]) -> Measure[Settings]:
    """A measure that is also given an empty folder, which goes with all that it wrote there."""

    def run(settings: Settings) -> Iterator[dict]:
        with tempfile.TemporaryDirectory() as scratch:
            yield from measure(settings, Path(scratch))

    return run


def script(
    name: str, kind: type[Settings], run: Measure[Settings], case: Sequence[str], about: str | None
) -> None:
    """Be the program of a benchmark that is a script: parse the command line, measure, record."""
    record(name, tyro.cli(kind, description=about), run, case)


def record(
    name: str, settings: Settings, run: Measure[Settings], case: Sequence[str]
) -> list[dict]:
    """Run a benchmark; add each row to its file as soon as it is there, and show it beside the
    committed one of the same case. Returns the rows.

    Raises UsageError if the file of earlier rows is not one of rows, or its folder cannot be made.
    """
    path = results_folder(settings) / f"{name}.jsonl"
    # Measuring may take long: what cannot be written is told before.
    require_folder(path.parent)
    committed = COMMITTED / path.name
    earlier = read_rows(committed if committed.is_file() else path)
    rows = []
    for measured in run(settings):
        row = {"benchmark": name, **measured, **machine(getattr(settings, "device", "cpu"))}
        row |= {"note": settings.note} if settings.note else {}
        add_row(path, row)
        for line in table(row, case, earlier):
            say(line)
        rows.append(row)
    say(f"{len(rows)} rows in {path}")
    return rows


def results_folder(settings: Bench) -> Path:
    """Where the rows of a run go."""
    return settings.out or (COMMITTED if COMMITTED.is_dir() else _ELSEWHERE)


def add_row(path: Path, row: dict) -> None:
    """Add a row to a file, which is made if it is not there, and its folder with it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def read_rows(path: Path) -> list[dict]:
    """The rows of a file, the oldest first; none if it is not there. Raises UsageError."""
    if not path.is_file():
        return []
    try:
        rows = [parse_json(line) for line in read_regular(path).decode().splitlines()]
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} is not a file of rows ({first_line(error)}); give another --out"
        ) from error
    return [row for row in rows if isinstance(row, dict)]


def table(row: dict, case: Sequence[str], earlier: Sequence[dict]) -> Iterator[str]:
    """The figures of a row beside those of the newest earlier one of the same case, if any.

    One of the same device goes before one of another, where ratios alone can be compared.
    """
    what = " ".join(f"{name}={row[name]}" for name in case if row.get(name) not in (None, ""))
    other = _newest_like(row, case, earlier)
    beside = f"  | earlier, {_origin(other)}, | ratio" if other else ""
    yield f"{row['benchmark']}: {what}{beside}"
    for name, value in row.items():
        if value is not None and name not in ("benchmark", "note", *case, *FIELDS):
            yield f"  {name:<28} {_shown(value)}{_compared(value, other.get(name))}"


def _newest_like(row: dict, case: Sequence[str], earlier: Sequence[dict]) -> dict:
    same = [other for other in earlier if all(other.get(n) == row.get(n) for n in case)]
    here = [other for other in same if other.get("device") == row["device"]]
    return (here or same or [{}])[-1]


def _origin(row: dict) -> str:
    where = row.get("device") or row.get("machine")
    return f"{where}, {str(row.get('time'))[:10]}"


def _shown(value: object) -> str:
    return f"{value:>12.6g}" if _is_number(value) else f"{value!s:>12}"


def _compared(value: Any, other: Any) -> str:
    if other is None:
        return ""
    ratio = f"{value / other:8.3f}" if _is_number(value) and _is_number(other) and other else ""
    return f" {_shown(other)} {ratio}".rstrip()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
