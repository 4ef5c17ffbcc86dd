"""What lifts it: every lever beside the plain score of the same videos, with its cost."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from reports.layouts.cells import class_counts, dataset_headings, measured_cell, metric_heading
from reports.layouts.footnotes import footnotes_of_all
from reports.layouts.grouping import group_rows
from reports.measurements import Measurement
from reports.table_model import Cell, Column, Row, Table

MINUS_PLAIN = "top1_minus_plain"
_SECONDS = "seconds"
_METRICS = ("top1", MINUS_PLAIN, "calibration_error")
_HEADINGS = {MINUS_PLAIN: "Minus plain", _SECONDS: "Seconds"}
# Plain scores and levers of one model under these have the same fields but for their lever.
_SETTING = (
    "asked_protocol",
    "dataset",
    "split",
    "feature_set",
    "scored_checkpoint",
    "fusion",
    "classifier",
)
_CAPTION = (
    "Levers, each by itself, beside the plain score of the same videos, from what is cached. "
    "Minus plain: points of top-1 gained, with the 95% interval of a paired bootstrap over videos. "
    "Transductive: a video's score depends on the other videos that are scored. Seconds: beyond "
    "plain scores, of other weights with those of encoding, where they are known."
)

# Data set and metric.
ColumnKey = tuple[str, str]


def lever_table(measured: Sequence[Measurement]) -> Table | None:
    """Rows: levers, under the model whose plain score they are compared with; None without any."""
    settings = {_setting(m) for m in measured if m.row.lever}
    plain = {_setting(m): m.row.protocol for m in measured if not m.row.lever}
    shown = [
        _beside(m, plain.get(_setting(m)))
        for m in measured
        if _setting(m) in settings and m.row.metric in _METRICS
    ]
    if not shown:
        return None
    datasets = list(dict.fromkeys(m.row.dataset for m in shown))
    headings = dataset_headings(datasets)
    columns = [(dataset, metric) for dataset in datasets for metric in (*_METRICS, _SECONDS)]
    return Table(
        name="levers",
        title="What lifts it",
        caption=f"{_CAPTION} {class_counts(shown)}",
        corner="Lever",
        columns=tuple(_column(metric, headings[dataset]) for dataset, metric in columns),
        rows=tuple(_rows(shown, columns)),
        notes=footnotes_of_all(shown),
    )


def _setting(measurement: Measurement) -> tuple:
    return tuple(getattr(measurement.row, name) for name in _SETTING)


def _beside(measurement: Measurement, protocol: str | None) -> Measurement:
    """Under its plain score, also where it alone is not zero-shot: its marks tell that."""
    row = measurement.row
    if not row.lever or protocol in (None, row.protocol):
        return measurement
    return replace(measurement, row=replace(row, protocol=protocol))


def _column(metric: str, dataset: str) -> Column:
    return Column(
        heading=_HEADINGS.get(metric) or metric_heading(metric),
        group=dataset,
        decimals=2 if metric == _SECONDS else 1,
    )


def _rows(shown: Sequence[Measurement], columns: Sequence[ColumnKey]) -> list[Row]:
    place = _places(shown)
    groups = group_rows(shown, lambda m: (m.row.dataset, m.row.lever, place(m), m.row.metric))
    rows = []
    for (name, detail), members in groups.items():
        for lever, number in dict.fromkeys([("", 0), *((m.row.lever, place(m)) for m in members)]):
            here = [m for m in members if (m.row.lever, place(m)) == (lever, number)]
            own = {(m.row.dataset, m.row.metric): m for m in here}
            is_alone = not any(m.row.lever == lever and place(m) != number for m in members)
            rows.append(
                Row(
                    label=lever or "plain",
                    detail=_marks(here, members) if is_alone else _told(here, members),
                    section=f"{name} ({detail})" if detail else name,
                    cells=tuple(_cell(key, own) for key in columns),
                )
            )
    return rows


def _places(shown: Sequence[Measurement]) -> Callable[[Measurement], int]:
    """How many other choices of one lever a dataset has before that of a measurement: those of
    several datasets stand beside one another, each dataset having its own texts and splits."""
    known: dict[tuple, list[tuple[str, ...]]] = {}
    for m in shown:
        choices = known.setdefault((*_setting(m), m.row.lever), [])
        if m.row.lever_choices not in choices:
            choices.append(m.row.lever_choices)
    return lambda m: known[*_setting(m), m.row.lever].index(m.row.lever_choices)


def _told(own: Sequence[Measurement], members: Sequence[Measurement]) -> str:
    """What a lever took that stands here with other choices, too, and its marks."""
    marks = _marks(own, members)
    choices = dict.fromkeys(choice for m in own for choice in m.row.lever_choices)
    return ", ".join([*(one for one in choices if one not in marks), *filter(None, [marks])])


def _cell(key: ColumnKey, own: Mapping[ColumnKey, Measurement]) -> Cell:
    dataset, metric = key
    if metric != _SECONDS:
        return measured_cell(own[key]) if key in own else Cell()
    seconds = _lifted(own[dataset, "top1"]).get(_SECONDS) if (dataset, "top1") in own else None
    if not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return Cell()
    return Cell(value=float(seconds))


def _marks(own: Sequence[Measurement], members: Sequence[Measurement]) -> str:
    """What keeps the number of a lever from being what a plain one of `members` is."""
    facts = [_lifted(measurement) for measurement in own]
    marks = ["transductive"] if any(one.get("transductive") for one in facts) else []
    chosen = dict.fromkeys(f"chosen on {one['tuned_on']}" for one in facts if one.get("tuned_on"))
    seen = ["which was trained on"] if any(one.get("seen_in_training") for one in facts) else []
    plain = {m.row.tuned_on for m in members if not m.row.lever}
    more = [m.row.tuned_on for m in own if m.row.lever and m.row.tuned_on not in ("", *plain)]
    tuned = [f"tuned on {told}" for told in dict.fromkeys(more)]
    return ", ".join([*marks, *chosen, *seen, *tuned])


def _lifted(measurement: Measurement) -> Mapping:
    found = measurement.row.provenance.get("lifted")
    return found if isinstance(found, Mapping) else {}
