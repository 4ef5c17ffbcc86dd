"""Read the paper's own numbers: `table1.csv` to `table9.csv`, and the doubts about them.

Rasheed, Khattak, Maaz, Khan, Khan: Fine-tuned CLIP Models are Efficient Video Learners, CVPR 2023.
One line is one cell. `subset` and `shots` are empty where a table has none; an empty value is a
dash in the paper; `note` holds keys of `notes.csv`.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from reports.table_model import Note

CITATION = "Rasheed et al., Fine-tuned CLIP Models are Efficient Video Learners, CVPR 2023"


class ColumnKey(NamedTuple):
    """What makes a column of a table."""

    dataset: str
    subset: str
    shots: int | None
    metric: str


@dataclass(frozen=True, kw_only=True)
class PaperNumber:
    """One cell of one table."""

    section: str
    """uni-modal, adapted, tuned, gain (over the best adapted), or empty."""
    method: str
    """Method as the paper names it, without its citation."""
    dataset: str
    """k400, k400-tiny, k600, hmdb51, ucf101, ssv2, or empty (costs)."""
    subset: str
    """base, novel or empty."""
    shots: int | None
    """Training videos per class."""
    metric: str
    """top1, top5, harmonic_mean, num_frames, views, gflops, throughput or params_millions."""
    text: str
    """The number as printed, empty for a dash."""
    std: str
    """Standard deviation as printed, or empty."""
    notes: tuple[str, ...]
    """Keys of `paper_notes()`."""

    @property
    def value(self) -> float | None:
        """The number, None for a dash and for views ("4x3")."""
        return float(self.text) if self.text and "x" not in self.text else None

    @property
    def column(self) -> ColumnKey:
        """The column it stands in."""
        return ColumnKey(self.dataset, self.subset, self.shots, self.metric)


@cache
def paper_numbers(table: int) -> tuple[PaperNumber, ...]:
    """All cells of one of the nine tables, in the paper's order."""
    return tuple(_number(record) for record in csv_records(f"table{table}.csv"))


@cache
def paper_notes() -> dict[str, Note]:
    """Known doubts about single cells, each with where it can be checked."""
    return {
        record["key"]: Note(text=record["text"], source=record["source"])
        for record in csv_records("notes.csv")
    }


def csv_records(name: str) -> Iterator[dict[str, str]]:
    """The lines of a CSV file of this folder, by the words of its header."""
    text = (files("reports.paper") / name).read_text(encoding="utf-8")
    yield from csv.DictReader(io.StringIO(text))


def _number(record: dict[str, str]) -> PaperNumber:
    return PaperNumber(
        section=record["section"],
        method=record["method"],
        dataset=record["dataset"],
        subset=record["subset"],
        shots=int(record["shots"]) if record["shots"] else None,
        metric=record["metric"],
        text=record["value"],
        std=record["std"],
        notes=tuple(record["note"].split()),
    )
