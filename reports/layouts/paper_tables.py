"""The paper's nine tables: its numbers, ours under them, and how to get what is missing.

The columns are those of the paper's own numbers. A row of ours stands under the paper's when the
name of the checkpoint or feature set says which method it is (reports.measurements.METHOD_WORDS)
and its model and number of classes are the paper's; otherwise it is a row among other models.
Of several numbers for one cell a mean over splits or seeds wins, then the one written last.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from harness.results.json_artefacts import Cost
from reports.layouts.cell_commands import cost_command, own_cost_command, paper_command
from reports.layouts.cells import (
    INTERVAL_CAPTION,
    beside_paper,
    dataset_heading,
    measured_cell,
    metric_heading,
    paper_cell,
)
from reports.layouts.footnotes import doubts, footnotes_of_all
from reports.layouts.set_commands import source_commands
from reports.layouts.specs import FUSION_METHODS, FUSION_PROTOCOL, HEADS, SPECS, SYSTEMS, Spec
from reports.measurements import Measurement, features_of, is_mean, method_of
from reports.paper.paper_numbers import CITATION, ColumnKey, PaperNumber, paper_notes, paper_numbers
from reports.paper.paper_settings import is_paper_cost, is_training_split
from reports.table_model import Cell, Column, Row, Table

SECTIONS = {
    "uni-modal": "Trained on video alone",
    "adapted": "CLIP as it is, and adapted by added parts",
    "tuned": "CLIP tuned on video",
    "gain": "Gain over the best adapted model",
    "": "",
}
OTHERS = "Other models, measured here"
COST_METRICS = ("gflops", "throughput", "params_millions")
# Of these a difference from the paper says nothing: a setting, or the speed of another machine.
_NO_DIFFERENCE = ("num_frames", "views", "throughput")
_SETTINGS = ("num_frames", "views")
# Rules that a method's numbers may be scored by, beside embedding fusion with averaged texts.
_RULES = {"ActionCLIP": ("embedding", "each-template")}
FUSION_METHOD_OF = {fusion: method for method, fusion in FUSION_METHODS.items()}


class Who(NamedTuple):
    """The row that a number of ours belongs to."""

    name: str
    """Method of the paper, or name of another model."""
    is_method: bool
    """A name alone could be that of a method and stand for another model."""


# Who and where -> our number.
Index = dict[tuple[Who, ColumnKey], Cell]


def paper_tables(measured: Sequence[Measurement], costs: Sequence[Cost] = ()) -> list[Table]:
    """Tables 1 to 9; `Table.num_measured` says how many cells hold a number of ours."""
    return [_table(spec, measured, costs) for spec in SPECS]


def _table(spec: Spec, measured: Sequence[Measurement], costs: Sequence[Cost]) -> Table:
    numbers = paper_numbers(spec.number)
    columns = tuple(dict.fromkeys(number.column for number in numbers))
    index = _index_of_costs(spec, columns, costs) | _index_of_rows(spec, columns, measured)
    every = [part for m in measured for part in (m, *m.parts)]
    interval = "" if spec.protocol == "cost" else f"{INTERVAL_CAPTION} "
    return Table(
        name=f"table{spec.number}",
        title=spec.title,
        caption=f"{spec.caption} {interval}Paper: {CITATION}.",
        columns=_columns(spec, columns),
        rows=(
            *_paper_rows(spec, numbers, columns, index),
            *_other_rows(spec, columns, index, measured),
        ),
        notes=paper_notes() | footnotes_of_all(every),
        sources=_sources(spec),
    )


def _sources(spec: Spec) -> dict[str, str]:
    """How the feature sets and files are made that the commands of empty cells name."""
    bridged = {"is_bridged": spec.is_bridged}
    every = [source_commands(spec.protocol, method, **bridged) for method in spec.methods]
    every += [source_commands("cost", method) for method in spec.methods]
    return {name: command for commands in every for name, command in commands.items()}


def _columns(spec: Spec, columns: Sequence[ColumnKey]) -> tuple[Column, ...]:
    datasets = {column.dataset for column in columns}
    if len(datasets) == len(columns):
        return tuple(Column(heading=dataset_heading(column.dataset)) for column in columns)
    return tuple(
        Column(
            heading=_heading(spec, column),
            group=dataset_heading(column.dataset) if len(datasets) > 1 else "",
            decimals=0 if column.metric in ("gflops", *_SETTINGS) else 1,
        )
        for column in columns
    )


def _heading(spec: Spec, column: ColumnKey) -> str:
    if column.subset:
        return column.subset.capitalize()
    return f"K = {column.shots}" if spec.protocol == "few-shot" else metric_heading(column.metric)


def _paper_rows(
    spec: Spec, numbers: Sequence[PaperNumber], columns: Sequence[ColumnKey], index: Index
) -> list[Row]:
    rows = []
    for section, method in _methods(numbers, columns):
        cells = {n.column: n for n in numbers if (n.section, n.method) == (section, method)}
        shared = {"label": method, "section": SECTIONS[section]}
        printed = tuple(paper_cell(cells.get(column)) for column in columns)
        rows.append(Row(**shared, origin="paper", cells=printed))
        if method in spec.methods:
            ours = tuple(_our_cell(spec, Who(method, True), p, cells, index) for p in columns)
            rows.append(Row(**shared, origin="here", cells=ours))
    return rows


def _methods(
    numbers: Sequence[PaperNumber], columns: Sequence[ColumnKey]
) -> Iterable[tuple[str, str]]:
    """(section, method) as in the paper; methods of its left half first (Table 1)."""
    sections = tuple(dict.fromkeys(number.section for number in numbers))
    ordered = sorted(numbers, key=lambda n: (sections.index(n.section), columns.index(n.column)))
    return dict.fromkeys((number.section, number.method) for number in ordered)


def _other_rows(
    spec: Spec, columns: Sequence[ColumnKey], index: Index, measured: Sequence[Measurement]
) -> list[Row]:
    others = dict.fromkeys(who for who, _ in index if not who.is_method)
    own = {m.name: m for m in measured if m.row.protocol == spec.protocol}
    return [
        Row(
            label=who.name,
            section=OTHERS,
            origin="here",
            cells=tuple(
                _our_cell(spec, who, column, {}, index, own.get(who.name)) for column in columns
            ),
        )
        for who in others
    ]


def _our_cell(
    spec: Spec,
    who: Who,
    column: ColumnKey,
    printed: dict[ColumnKey, PaperNumber],
    index: Index,
    own: Measurement | None = None,
) -> Cell:
    """Our number, or the command that gives it; `own` is a result of a model of one's own."""
    cell = index.get((who, column))
    if cell is None:
        return Cell(command=_command(spec, who, column, own))
    number = printed.get(column)
    return cell if column.metric in _NO_DIFFERENCE else beside_paper(cell, number)


def _command(spec: Spec, who: Who, column: ColumnKey, own: Measurement | None) -> str:
    """What fills a cell; nothing for a model of one's own with another K than it was tuned on."""
    if column.metric in COST_METRICS and not who.is_method:
        return own_cost_command(own) if own else ""
    if column.metric in COST_METRICS:
        return cost_command(who.name)
    if spec.protocol == "few-shot" and not who.is_method:
        return ""
    features = features_of(own.row) if own else ()
    where = (column.dataset, column.shots, features)
    return paper_command(spec.protocol, who.name, *where, is_bridged=spec.is_bridged)


def _index_of_costs(spec: Spec, columns: Sequence[ColumnKey], costs: Sequence[Cost]) -> Index:
    return {
        (who, column): _cost_cell(value, cost)
        for cost in costs
        if (who := _who_costs(spec, cost))
        for column in columns
        if column.metric in COST_METRICS and (value := getattr(cost, column.metric)) is not None
    }


def _who_costs(spec: Spec, cost: Cost) -> Who | None:
    """The row of the table a cost belongs to; None when it belongs to none."""
    if method := method_of([cost.features]):
        return Who(method, True) if is_paper_cost(cost, method) else None
    return Who(cost.features, False) if spec.with_others else None


def _cost_cell(value: float, cost: Cost) -> Cell:
    source = f"{cost.features} on {cost.device}" if cost.device else cost.features
    # A CPU does a fraction of a view a second.
    return Cell(value=value, text=f"{value:.3g}" if value < 1 else "", source=source)


def _index_of_rows(
    spec: Spec, columns: Sequence[ColumnKey], measured: Sequence[Measurement]
) -> Index:
    untuned = _first_splits(measured) if spec.protocol == "few-shot" else []
    # A stable sort: means last, so that they and later rows replace earlier ones.
    ordered = untuned + sorted(measured, key=_rank)
    return {
        (who, column): _index_cell(measurement, column)
        for measurement in ordered
        if (who := who_is(spec, measurement))
        for column in columns
        if fits(measurement, column)
    }


def _rank(measurement: Measurement) -> tuple[bool, bool, bool]:
    """What comes later replaces what came before: what is not trained on, a method's own rule of
    templates, and means."""
    row = measurement.row
    return not is_training_split(row.split), row.fusion != "embedding", is_mean(row)


def _first_splits(measured: Sequence[Measurement]) -> list[Measurement]:
    """Zero-shot scores of vanilla CLIP as the few-shot tables want them: of the first split."""
    every = [part for m in measured for part in (m, *m.parts) if not is_mean(part.row)]
    return [
        replace(m, row=replace(m.row, protocol="few-shot"))
        for m in every
        if (m.row.protocol, m.method) == ("zero-shot", "Vanilla CLIP")
        and [int(number) for number in re.findall(r"\d+$", m.row.split)] in ([], [0], [1])
    ]


def who_is(spec: Spec, measurement: Measurement) -> Who | None:
    """The row of the table a measurement belongs to; None when it belongs to none."""
    row, trained = measurement.row, measurement.trained_fusion
    if (row.protocol, row.classifier) != (spec.protocol, "text"):
        return None
    if spec.protocol == FUSION_PROTOCOL and measurement.method in ("", "ViFi-CLIP"):
        method = FUSION_METHOD_OF.get(row.fusion) if trained == row.fusion else None
        return Who(method, True) if method and measurement.is_comparable else None
    scored = _RULES.get(measurement.method, ("embedding",))
    if row.fusion not in scored or trained not in ("", "embedding"):
        return None
    if measurement.is_comparable and measurement.method:
        is_here = measurement.method in spec.methods and _is_bridged_as(spec, measurement)
        return Who(measurement.method, True) if is_here else None
    return Who(measurement.name, False) if spec.with_others else None


def _is_bridged_as(spec: Spec, measurement: Measurement) -> bool:
    """Whether a model was tuned on Kinetics-400 first if, and only if, the table's were."""
    if measurement.method not in (*SYSTEMS, *HEADS):
        # Of the others a table has what is tuned once, or what always is tuned twice.
        return True
    return measurement.is_bridged == spec.is_bridged


def fits(measurement: Measurement, column: ColumnKey) -> bool:
    """Whether a measurement answers a column of the paper."""
    row = measurement.row
    metric = "top1" if column.metric in _SETTINGS else column.metric
    if (measurement.dataset, row.metric) != (column.dataset, metric):
        return False
    if row.subset != (column.subset or "all"):
        return False
    # Untrained, a number is the same for every K; Table 5 takes it as given with the model.
    any_shots = measurement.method == "Vanilla CLIP" or row.protocol == FUSION_PROTOCOL
    return row.shots == column.shots or (row.shots is None and any_shots)


def _index_cell(measurement: Measurement, column: ColumnKey) -> Cell:
    if column.metric in _SETTINGS:
        row = measurement.row
        number = row.num_frames if column.metric == "num_frames" else row.num_views
        return Cell(value=float(number), source=measurement.name)
    cell = measured_cell(measurement)
    return replace(cell, notes=(*cell.notes, *doubts(measurement)))
