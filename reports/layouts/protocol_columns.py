"""The columns of a protocol's table: what was asked, in which order, under which headings."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from reports.layouts.cells import ANOTHER, DIFFERENCE, metric_heading
from reports.layouts.fusion_table import fusion_position
from reports.measurements import Measurement
from reports.table_model import Note
from vifistore.natural_order import natural_order

_SUBSETS = ("base", "novel", "all", "joint")
_METRICS = ("top1", "top5", "mean_per_class", "harmonic_mean", "calibration_error")


class Slot(NamedTuple):
    """What makes a column; None where the protocol has no such columns."""

    dataset: str
    subset: str | None
    shots: int | None
    fusion: str | None
    metric: str

    @property
    def other(self) -> str:
        """The feature set that the numbers are differences from, or empty."""
        return self.metric.partition(DIFFERENCE)[2]

    @property
    def heading(self) -> str:
        """What stands above the numbers, below the data set."""
        words = []
        if self.subset in ("base", "novel", "joint"):
            words.append(self.subset.capitalize())
        if self.shots is not None:
            words.append(f"K = {self.shots}")
        if self.fusion is not None:
            words.append(self.fusion)
        if not words or self.metric != "top1":
            words.append(metric_heading(self.metric))
        return " ".join(words)


def slot_of(measurement: Measurement, columns_by: Sequence[str]) -> Slot:
    """The column of a number, where these fields of a result row make columns within a data set."""
    row = measurement.row
    return Slot(
        dataset=row.dataset,
        subset=row.subset if "subset" in columns_by else None,
        shots=(row.shots or 0) if "shots" in columns_by else None,
        fusion=row.fusion if "fusion" in columns_by else None,
        metric=row.metric,
    )


def shared_slots(rows: Iterable[Iterable[Slot]]) -> dict[Slot, Slot]:
    """Slots of differences -> the one that they share, where no row has numbers in both.

    Of runs that are each compared with a run of its own there would be a column for each of
    these, empty but for one row.
    """
    of_rows = [{slot: slot for slot in row if slot.other} for row in rows]
    places: dict[Slot, list[list[Slot]]] = {}
    for slot in dict.fromkeys(slot for row in of_rows for slot in row):
        base = slot.metric.removesuffix(slot.other)
        lanes = places.setdefault(slot._replace(metric=base + ANOTHER), [])
        _first_free(lanes, slot, of_rows).append(slot)
    return {
        slot: shared if number == 1 else shared._replace(metric=f"{shared.metric}{number}")
        for shared, lanes in places.items()
        for number, lane in enumerate(lanes, start=1)
        for slot in lane
        if len(lane) > 1
    }


def _first_free(
    lanes: list[list[Slot]], slot: Slot, rows: Sequence[Mapping[Slot, Slot]]
) -> list[Slot]:
    beside = {other for row in rows if slot in row for other in row}
    for lane in lanes:
        if beside.isdisjoint(lane):
            return lane
    lanes.append([])
    return lanes[-1]


def ordered(slots: Iterable[Slot], datasets: Sequence[str]) -> list[Slot]:
    """Columns by data set, subset, shots, fusion and metric."""

    def order(slot: Slot) -> tuple:
        metric = _METRICS.index(slot.metric) if slot.metric in _METRICS else len(_METRICS)
        subset = _SUBSETS.index(slot.subset) if slot.subset else 0
        fusion = fusion_position(slot.fusion or "")
        place = datasets.index(slot.dataset), subset, slot.shots or 0, fusion, metric
        return *place, natural_order(slot.metric)

    return sorted(slots, key=order)


def difference_note(measurement: Measurement) -> dict[str, Note]:
    """What a difference was taken from, by a key without spaces; empty for any other number."""
    _, _, other = measurement.row.metric.partition(DIFFERENCE)
    if not other:
        return {}
    key = re.sub(r"\s+", "_", f"minus={other}")
    return {key: Note(text=f"Minus {other}, on the same videos.")}
