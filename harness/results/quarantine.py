"""Videos that could not be read: one file of a whole store, or one of each feature set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from harness.results.json_objects import JsonEntry
from harness.results.whole_files import FOLDER

_SETS = "quarantine"


@dataclass(frozen=True, kw_only=True)
class Quarantined(JsonEntry):
    """One video that a feature set lacks, and why."""

    FILE: ClassVar[str] = "quarantine.json"
    KEY: ClassVar[tuple[str, ...]] = ("dataset", "features", "id")

    dataset: str = ""
    features: str = ""
    """Id of the feature set."""
    id: str
    path: str = ""
    decoder: str = ""
    reason: str
    """In a word or two, the same for all videos that lack the same."""
    message: str = ""

    @classmethod
    def read_all(cls, results: Path) -> tuple[Self, ...]:
        """Every video once: what an evaluation wrote of a set may be in both places."""
        inner = results / FOLDER
        paths = [inner / cls.FILE, *sorted((inner / _SETS).glob("*.json"))]
        found = [entry for path in paths for entry in cls.read_list(path)]
        return tuple({entry.key: entry for entry in found}.values())

    @classmethod
    def write_set(cls, results: Path, dataset: str, features: str, entries: Sequence[Self]) -> None:
        """Those of one feature set (its id); without any, what is there goes."""
        path = results / FOLDER / _SETS / f"{dataset}-{features}.json"
        if entries:
            cls.write_list(path, entries)
        else:
            # What was quarantined before may have been tried again since.
            path.unlink(missing_ok=True)
