"""Where frames are merged, in training and in scoring: every model under every fusion.

The paper's Table 5 is the diagonal of this table, and its first row.
"""

import re
from collections.abc import Mapping, Sequence

from reports.layouts.cell_commands import remaining_fusions_command
from reports.layouts.cells import (
    INTERVAL_CAPTION,
    beside_paper,
    class_counts,
    dataset_headings,
    measured_cell,
    paper_cell,
)
from reports.layouts.footnotes import footnotes_of_all
from reports.layouts.grouping import group_rows, told_detail
from reports.layouts.specs import FUSION_METHODS, FUSION_PROTOCOL
from reports.measurements import Measurement, paper_dataset
from reports.paper.paper_numbers import PaperNumber, paper_notes, paper_numbers
from reports.table_model import Cell, Column, Note, Row, Table

_ORDER = ("", "embedding", "decision", "image", "max", "top", "attention")
_METHOD_OF = {"": "Vanilla CLIP"} | {name: method for method, name in FUSION_METHODS.items()}

ONE_FUSION = "one-embedding-a-view"
_ONE_FUSION_NOTE = Note(
    text="Of one embedding a view there are no frames to merge: as with embedding fusion."
)

# Data set, and the fusion scored with.
ColumnKey = tuple[str, str]


def fusion_table(measured: Sequence[Measurement]) -> Table | None:
    """Rows: how a model was trained; columns: how it was scored. None without such rows."""
    shown = fusion_rows(measured)
    if not shown:
        return None
    columns = _columns(shown)
    headings = dataset_headings(dict.fromkeys(dataset for dataset, _ in columns))
    comparable = {m.row.dataset for m in shown if m.is_comparable}
    paper = _paper_diagonal([slot for slot in columns if slot[0] in comparable])
    return Table(
        name="fusion",
        title="Where frames are merged",
        caption="Rows: the fusion a model was trained with. Columns: the fusion it was scored "
        f"with. Top-1. {class_counts(shown)} {INTERVAL_CAPTION}",
        corner="Trained with",
        columns=tuple(
            Column(heading=fusion, group=f"{headings[dataset]}, scored with")
            for dataset, fusion in columns
        ),
        rows=tuple(_rows(shown, columns, paper)),
        notes=paper_notes() | footnotes_of_all(shown) | {ONE_FUSION: _ONE_FUSION_NOTE},
    )


def fusion_rows(measured: Sequence[Measurement]) -> list[Measurement]:
    """Top-1 under every fusion, in the order of the fusions trained with."""
    shown = [m for m in measured if (m.row.protocol, m.row.metric) == (FUSION_PROTOCOL, "top1")]
    return sorted(shown, key=lambda m: fusion_position(m.trained_fusion))


def fusion_position(fusion: str) -> tuple[int, int, str]:
    """What fusions are sorted by; untrained is first, unknown ones last."""
    top = re.fullmatch(r"top-(\d{1,6})", fusion)
    kind = "top" if top else fusion
    position = _ORDER.index(kind) if kind in _ORDER else len(_ORDER)
    # top-8 comes after top-2.
    return position, int(top[1]) if top else 0, fusion


def _columns(shown: Sequence[Measurement]) -> list[ColumnKey]:
    datasets = list(dict.fromkeys(m.row.dataset for m in shown))
    slots = {(m.row.dataset, m.row.fusion) for m in shown}
    return sorted(slots, key=lambda slot: (datasets.index(slot[0]), fusion_position(slot[1])))


def _paper_diagonal(columns: Sequence[ColumnKey]) -> dict[tuple[str, ColumnKey], PaperNumber]:
    """(trained fusion, column) -> the paper's number, where it has one."""
    printed = {(number.method, number.dataset): number for number in paper_numbers(5)}
    return {
        (trained, (dataset, scored)): printed[_METHOD_OF[trained], paper_dataset(dataset)]
        for trained in _METHOD_OF
        for dataset, scored in columns
        if scored == (trained or "embedding")
        and (_METHOD_OF[trained], paper_dataset(dataset)) in printed
    }


def _rows(
    shown: Sequence[Measurement],
    columns: Sequence[ColumnKey],
    paper: Mapping[tuple[str, ColumnKey], PaperNumber],
) -> list[Row]:
    groups = group_rows(shown, lambda m: (m.row.dataset, m.row.fusion), ("fusion",))
    trained_of = {key: members[0].trained_fusion for key, members in groups.items()}
    rows, printed = [], set()
    for key in sorted(groups, key=lambda key: fusion_position(trained_of[key])):
        name, detail = key
        trained = trained_of[key]
        numbers = {slot: number for (fusion, slot), number in paper.items() if fusion == trained}
        if numbers and trained not in printed:
            printed.add(trained)
            cells = tuple(paper_cell(numbers.get(slot)) for slot in columns)
            rows.append(Row(label=trained or _METHOD_OF[""], origin="paper", cells=cells))
        rows.append(
            Row(
                label=trained or name,
                detail=told_detail(detail, groups[key], shown, name if trained else ""),
                origin="here" if paper else "",
                cells=_cells(columns, groups[key], numbers),
            )
        )
    return rows


def _is_papers(measurement: Measurement) -> bool:
    """Without a fusion trained with, only what is known as vanilla CLIP was not tuned."""
    is_known = bool(measurement.trained_fusion) or measurement.method == _METHOD_OF[""]
    return measurement.is_comparable and is_known


def _cells(
    columns: Sequence[ColumnKey],
    members: Sequence[Measurement],
    numbers: Mapping[ColumnKey, PaperNumber],
) -> tuple[Cell, ...]:
    by_slot = {(m.row.dataset, m.row.fusion): m for m in members}
    # Models are tuned for one data set: in another there is nothing to be measured.
    commands = {
        dataset: remaining_fusions_command(
            [m for m in members if m.row.dataset == dataset],
            [slot[1] for slot in columns if slot[0] == dataset and slot not in by_slot],
        )
        for dataset, _ in by_slot
    }
    cells = []
    for slot in columns:
        if slot in by_slot:
            number = numbers.get(slot) if _is_papers(by_slot[slot]) else None
            cells.append(beside_paper(measured_cell(by_slot[slot]), number))
        elif any(m.row.provenance.get("one_embedding") for m in members):
            cells.append(Cell(text="=", notes=(ONE_FUSION,)))
        else:
            cells.append(Cell(command=commands.get(slot[0], "")))
    return tuple(cells)
