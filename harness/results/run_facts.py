"""What a run says of itself: its summary, its steps, what a view costs, how fast videos were."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from harness.results.csv_tables import read_table, table_records
from harness.results.json_objects import JsonDocument, JsonEntry, read_objects
from harness.results.whole_files import FOLDER, locked_folder, read_document, write_document

_COMMANDS = "commands.json"


@dataclass(frozen=True, kw_only=True)
class Summary(JsonDocument):
    """The title of the page, and sentences under it."""

    FILE: ClassVar[str] = "summary.json"

    title: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Timing(JsonEntry):
    """One step of a run; `further` may say how many `videos` it went through."""

    FILE: ClassVar[str] = "timings.json"

    step: str
    seconds: float

    @classmethod
    def read_all(cls, results: Path) -> tuple[Self, ...]:
        """Of the first file that is there: artefacts/timings.json, steps.csv or steps.json."""
        if (results / FOLDER / cls.FILE).is_file():
            return cls.read_list(results / FOLDER / cls.FILE)
        path = results / "steps.csv"
        if not path.is_file():
            return cls.read_list(path.with_suffix(".json"))
        steps = table_records(read_table(path, ("step", "seconds"), ("seconds",)))
        return read_objects(cls, path, steps)


@dataclass(frozen=True, kw_only=True)
class Cost(JsonEntry):
    """What a view costs with a model."""

    FILE: ClassVar[str] = "costs.json"
    KEY: ClassVar[tuple[str, ...]] = ("features",)

    features: str
    """Row of the tables it stands in: the name of a feature set."""
    model: str | None = None
    frames: int | None = None
    """Frames per view."""
    gflops: float | None = None
    """10^9 multiply-accumulates a view, as the paper counts them."""
    throughput: float | None = None
    """Views a second."""
    params_millions: float | None = None
    device: str | None = None


@dataclass(frozen=True, kw_only=True)
class Throughput(JsonEntry):
    """How fast something was: facts, in the order in which they are shown."""

    FILE: ClassVar[str] = "throughput.json"


def read_commands(results: Path) -> tuple[str, ...]:
    """Commands that made what is no result row. Raises DamagedError."""
    return tuple(map(str, read_document(results / FOLDER / _COMMANDS, list)))


def add_commands(results: Path, commands: Sequence[str], *, first: bool = False) -> None:
    """Add commands behind those that are known, or before them, each once; several processes may
    do so at once. Raises DamagedError."""
    with locked_folder(results / FOLDER):
        known = read_commands(results)
        every = [*commands, *known] if first else [*known, *commands]
        write_document(results / FOLDER / _COMMANDS, [*dict.fromkeys(every)])
