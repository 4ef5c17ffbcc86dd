"""Recall by captions as papers print it: feature sets in rows, data sets and ways in columns, with
what others published for the same data set."""

from collections.abc import Sequence
from typing import NamedTuple

from reports.layouts.cells import dataset_heading, measured_cell
from reports.layouts.footnotes import footnotes_of_all
from reports.layouts.grouping import group_rows
from reports.measurements import Measurement
from reports.paper.recall_numbers import PublishedRecall, benchmark_of, published_recalls
from reports.table_model import Cell, Column, Note, Row, Table

_WAYS = {"t2v": "text to video", "v2t": "video to text"}
_METRICS = {
    **{f"recall_at_{k}": f"R@{k}" for k in (1, 5, 10)},
    "median_rank": "MdR",
    "mean_rank": "MnR",
}
_CAPTION = (
    "Captions ask for their videos, and videos for their captions. R@k: share whose first right "
    "answer is among the first k, in percent; MdR and MnR: median and mean rank of it, from 1; "
    "95% bootstrap intervals over videos with all of their captions. Transductive: a rank depends "
    "on what else is asked."
)
OTHERS = "Published by others"


class RecallSlot(NamedTuple):
    """What makes a column."""

    dataset: str
    way: str
    metric: str


def is_recall(measurement: Measurement) -> bool:
    """Whether a number is one of captions and videos that ask for each other."""
    way, _, metric = measurement.row.metric.partition("_")
    return measurement.row.protocol == "retrieval" and way in _WAYS and metric in _METRICS


def recall_table(measured: Sequence[Measurement]) -> Table | None:
    """The table of all data sets; None where no caption was asked."""
    shown = [measurement for measurement in measured if is_recall(measurement)]
    if not shown:
        return None
    datasets = dict.fromkeys(measurement.row.dataset for measurement in shown)
    there = {_slot(measurement) for measurement in shown}
    slots = [RecallSlot(d, way, metric) for d in datasets for way in _WAYS for metric in _METRICS]
    columns = [slot for slot in slots if slot in there]
    others = [n for n in published_recalls() if n.dataset in set(map(benchmark_of, datasets))]
    return Table(
        name="recall",
        title="Recall by captions",
        caption=_CAPTION,
        columns=tuple(
            Column(
                heading=_METRICS[slot.metric],
                group=f"{dataset_heading(slot.dataset)} {_WAYS[slot.way]}",
            )
            for slot in columns
        ),
        rows=(*_published(others, columns), *_measured(shown, columns)),
        notes=footnotes_of_all(shown) | {_key(n): _note(n) for n in others},
    )


def _measured(shown: Sequence[Measurement], columns: Sequence[RecallSlot]) -> list[Row]:
    rows = []
    for (name, detail), members in group_rows(shown, _slot).items():
        cells = {_slot(member): measured_cell(member) for member in members}
        filled = tuple(cells.get(slot, Cell()) for slot in columns)
        rows.append(Row(label=name, detail=detail, cells=filled))
    return rows


def _published(numbers: Sequence[PublishedRecall], columns: Sequence[RecallSlot]) -> list[Row]:
    """A row for each method of others; it stands under every data set of that name."""
    rows = []
    for method in dict.fromkeys(number.method for number in numbers):
        of_method = {(n.dataset, n.way, n.metric): n for n in numbers if n.method == method}
        found = [of_method.get((benchmark_of(s.dataset), s.way, s.metric)) for s in columns]
        cells = tuple(_cell(number) if number else Cell() for number in found)
        rows.append(Row(label=method, section=OTHERS, origin="paper", cells=cells))
    return [row for row in rows if any(cell.is_measured for cell in row.cells)]


def _cell(number: PublishedRecall) -> Cell:
    return Cell(value=number.value, text=f"{number.value:.1f}", notes=(_key(number),))


def _key(number: PublishedRecall) -> str:
    return f"{number.source}-{number.text}".replace(" ", "_")


def _note(number: PublishedRecall) -> Note:
    return Note(text=number.text, source=number.source)


def _slot(measurement: Measurement) -> RecallSlot:
    way, _, metric = measurement.row.metric.partition("_")
    return RecallSlot(measurement.row.dataset, way, metric)
