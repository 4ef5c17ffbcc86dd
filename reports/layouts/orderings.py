"""Where the miniature has the paper's orders: of two methods, which one the paper has ahead and
which one is ahead here, by a paired test on the same clips."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from reports.layouts.cells import DIFFERENCE, dataset_heading
from reports.layouts.paper_tables import FUSION_METHOD_OF, fits, who_is
from reports.layouts.specs import FUSION_PROTOCOL, SPECS, Spec
from reports.measurements import Measurement, method_of
from reports.paper.paper_numbers import ColumnKey, paper_numbers
from reports.table_model import Cell, Column, Row, Table

# Two-sided, of one test.
_CLEAR = 0.05
_AGREES, _OPPOSES, _OPEN = "agrees", "opposes", "not clear"
_CAPTION = (
    "Points by which the first method is ahead of the second: in the paper, and here with the 95% "
    "interval of a paired bootstrap over the clips that both were scored on. A verdict is clear at "
    "p < 0.05, each test by itself. In Table 5 each model is scored with the fusion it was tuned "
    "with."
)


def orderings_table(mini: Sequence[Measurement]) -> Table | None:
    """Rows: comparisons that the paper has numbers for; None without any.

    `mini` are results on data sets that stand for the paper's.
    """
    rows = [row for spec in SPECS for row in _rows(spec, mini)]
    if not rows:
        return None
    verdicts = Counter(row.cells[-1].text for row in rows)
    counted = ", ".join(f"{verdicts[name]} {name}" for name in (_AGREES, _OPPOSES, _OPEN))
    return Table(
        name="mini-orderings",
        title="Orders: the paper's and the miniature's",
        caption=f"Of {len(rows)} orders of the paper: {counted}. {_CAPTION}",
        corner="Ahead of",
        columns=tuple(map(_column, ("Paper", "Here", "p", "Verdict"))),
        rows=tuple(rows),
    )


def _column(heading: str) -> Column:
    return Column(heading=heading, decimals=3 if heading == "p" else 1)


def _rows(spec: Spec, mini: Sequence[Measurement]) -> Iterator[Row]:
    numbers = {(n.method, n.column): n.value for n in paper_numbers(spec.number)}
    columns = dict.fromkeys(column for _, column in numbers)
    for measurement in mini:
        who = who_is(spec, measurement)
        metric, _, against = measurement.row.metric.partition(DIFFERENCE)
        other = _method_against(spec, measurement, against)
        plain = replace(measurement, row=replace(measurement.row, metric=metric))
        if who is None or other not in spec.methods:
            continue
        for column in columns:
            first, second = (numbers.get((name, column)) for name in (who.name, other))
            if first is None or second is None or metric != column.metric:
                continue
            if not fits(plain, column):
                continue
            yield Row(
                label=f"{who.name} over {other}",
                detail=_place(measurement, column),
                section=f"Table {spec.number}",
                cells=_cells(measurement, first - second),
            )


def _method_against(spec: Spec, measurement: Measurement, name: str) -> str:
    """The paper's method that a measurement is a difference from; in Table 5 it is what the other
    set was tuned and scored with, where that is not vanilla CLIP."""
    method = method_of([name])
    if spec.protocol != FUSION_PROTOCOL or method == "Vanilla CLIP":
        return method
    return FUSION_METHOD_OF.get(str(measurement.row.provenance.get("against_fusion")), "")


def _place(measurement: Measurement, column: ColumnKey) -> str:
    row = measurement.row
    words = [f"mini {dataset_heading(column.dataset)}", column.subset or "", row.split]
    words += [f"K = {column.shots}"] if column.shots else []
    words += [f"{name}" for name in row.feature_names[:1] if row.protocol == "base-to-novel"]
    return ", ".join(filter(None, words))


def _cells(measurement: Measurement, published: float) -> tuple[Cell, ...]:
    p_value = float(measurement.row.provenance.get("p_value", 1.0))
    verdict = _OPEN
    if p_value < _CLEAR and published:
        verdict = _AGREES if (measurement.value > 0) == (published > 0) else _OPPOSES
    here = Cell(value=measurement.value, low=measurement.low, high=measurement.high)
    return Cell(value=published), here, Cell(value=p_value), Cell(value=0.0, text=verdict)
