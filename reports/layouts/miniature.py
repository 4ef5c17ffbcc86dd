"""The paper's nine tables in miniature: data sets of the demo in the places of the paper's.

The paper's own numbers stand above, to compare orders; differences from them say nothing.
"""

from collections.abc import Sequence
from dataclasses import replace

from harness.results.json_artefacts import Cost
from reports.layouts.cells import DATASET_HEADINGS
from reports.layouts.paper_tables import paper_tables
from reports.layouts.specs import FUSION_PROTOCOL
from reports.measurements import Measurement, method_of, stands_for
from reports.paper.paper_settings import MODELS, paper_frames
from reports.table_model import Cell, Column, Table
from vifistore.errors import shell

_MODEL = "vifi-tiny"
_FILLS = shell("vifi", "demo", "--full")
_CAPTION = (
    "Drawn clips and a tiny CLIP stand for the paper's data sets and its CLIP, so that only orders "
    "can be compared."
)


def in_place_of_the_papers(measured: Sequence[Measurement]) -> list[Measurement]:
    """Results on data sets that stand for the paper's, as if on these; there may be none."""
    return [_in_place(m) for m in measured if stands_for(m.row.dataset)]


def miniature_tables(mini: Sequence[Measurement], costs: Sequence[Cost] = ()) -> list[Table]:
    """The nine tables of results that `in_place_of_the_papers` gave; none without any."""
    own = [_as_the_papers(cost) for cost in costs if cost.model == _MODEL]
    return [_told(table) for table in paper_tables(mini, own)] if mini else []


def _in_place(measurement: Measurement) -> Measurement:
    dataset = stands_for(measurement.row.dataset)
    if (measurement.row.protocol, dataset) == (FUSION_PROTOCOL, "k400"):
        dataset = "k400-tiny"
    parts = tuple(_in_place(part) for part in measurement.parts)
    return replace(measurement, dataset=dataset, parts=parts, is_stand_in=True)


def _as_the_papers(cost: Cost) -> Cost:
    frames = paper_frames("cost", method_of([cost.features]))
    return replace(cost, model=MODELS[-1], frames=frames)


def _told(table: Table) -> Table:
    rows = (replace(row, cells=tuple(map(_cell, row.cells))) for row in table.rows)
    return replace(
        table,
        name=f"mini-{table.name}",
        title=f"In miniature: {table.title}",
        caption=f"{_CAPTION} {table.caption}",
        columns=tuple(map(_column, table.columns)),
        rows=tuple(rows),
        sources={},
    )


def _cell(cell: Cell) -> Cell:
    return replace(cell, difference=None, command=_FILLS if cell.command else "")


def _column(column: Column) -> Column:
    if column.group:
        return replace(column, group=f"mini {column.group}")
    is_dataset = column.heading in DATASET_HEADINGS.values()
    return replace(column, heading=f"mini {column.heading}") if is_dataset else column
