"""One table per protocol for any data set: feature sets in rows, what was asked in columns."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.results import TUNED, ZERO_SHOT
from reports.layouts.cell_commands import repeat_command
from reports.layouts.cells import (
    DIFFERENCE,
    INTERVAL_CAPTION,
    class_counts,
    dataset_headings,
    measured_cell,
)
from reports.layouts.footnotes import footnotes_of_all
from reports.layouts.grouping import Groups, group_rows, told_detail
from reports.layouts.protocol_columns import (
    Slot,
    difference_note,
    ordered,
    shared_slots,
    slot_of,
)
from reports.layouts.recall_table import is_recall
from reports.layouts.specs import FUSION_PROTOCOL, LEVER_PROTOCOL
from reports.measurements import Measurement
from reports.table_model import Cell, Column, Row, Table

# One command fills every cell of a data set; few-shot would need another model for each K.
_REPEATABLE = ("zero-shot", "base-to-novel", "supervised")
_SECTIONS = {ZERO_SHOT: "Zero-shot", TUNED: "Tuned on the data set: not zero-shot"}
# Said where a table shows them.
_EXPLAINED = {
    "calibration_error": "Calibration error: how far the probability of the answer lies from the "
    "share of right answers, over 15 bins (without an interval: a resample's is biased).",
    "mean_per_class": "Mean per class: mean of the recalls of all classes.",
}


@dataclass(frozen=True, kw_only=True)
class View:
    """What a protocol's table shows."""

    title: str
    """A few words."""
    caption: str = ""
    """What is particular about the numbers."""
    columns_by: tuple[str, ...] = ("subset",)
    """Fields of a result row that make columns within a data set."""
    metrics: tuple[str, ...] = ()
    """Metrics shown; empty for all."""
    intervals: str = INTERVAL_CAPTION
    """What the numbers and their intervals are."""


def _ablation(title: str, caption: str) -> View:
    caption = f"{caption} Top-1; columns: the fusion scored with."
    return View(title=title, caption=caption, columns_by=("fusion",), metrics=("top1",))


VIEWS = {
    ZERO_SHOT: View(
        title="Zero-shot",
        caption="Classes are scored by their names alone; what checkpoints of others were tuned "
        "on is not known.",
    ),
    "base-to-novel": View(
        title="Base to novel",
        caption="Base and novel classes compete among themselves; HM is their harmonic mean. "
        "Joint: all of them compete for all videos; its HM is that of base and novel videos there.",
        metrics=("top1", "harmonic_mean"),
    ),
    "few-shot": View(
        title="Few-shot",
        caption="K training videos of each class.",
        columns_by=("shots",),
        metrics=("top1",),
    ),
    "supervised": View(
        title="Fully supervised",
        caption="Checkpoints or classifiers trained on training videos of the same classes.",
    ),
    "retrieval": View(
        title="Retrieval",
        caption="By cosines of texts and videos. mAP and P@k: class names find their videos; "
        "video to video: videos find others of their class, those of their own source left out, "
        "and R@k is the share that has one among the first k.",
        intervals="Percent; 95% bootstrap intervals, over classes for class names and over "
        "sources, with all of their videos, for videos.",
    ),
    "moment-retrieval": View(
        title="Moment retrieval",
        caption="Which seconds of a given video a sentence is about, by the cosines of cached "
        "frames and a rule that draws stretches from them, without training. Rn@x: one of the "
        "first n stretches overlaps the right one by x or more; mAP over overlaps of 0.5 to 0.95; "
        "HIT@1: the best clip is called very good; mIoU: overlap of the first stretch.",
        intervals="Percent, with 95% bootstrap intervals over videos with all of their queries.",
    ),
    "ablation-frames": _ablation("Fewer frames", "Frames per view, evenly among the cached ones."),
    "ablation-views": _ablation("Fewer views", "Views per video, evenly among the cached ones."),
    "ablation-templates": _ablation("Prompt templates", "One by one, and averaged."),
    "ablation-blend": _ablation("Blended weights", "Weights between the start and what was tuned."),
}


def protocol_tables(measured: Sequence[Measurement]) -> list[Table]:
    """One table per protocol that has rows, the paper's protocols first; all but fusion,
    levers and recall by captions, which have tables of their own."""
    measured = [measurement for measurement in measured if not is_recall(measurement)]
    present = dict.fromkeys(measurement.row.asked_protocol for measurement in measured)
    names = [name for name in VIEWS if name in present]
    others = (*VIEWS, FUSION_PROTOCOL, LEVER_PROTOCOL)
    names += [name for name in present if name not in others]
    return [_table(name, [m for m in measured if m.row.asked_protocol == name]) for name in names]


def _view(protocol: str, measured: Sequence[Measurement]) -> tuple[str, View]:
    """File name and view; of scores by class names, as far as they are zero-shot."""
    view = VIEWS.get(protocol, View(title=protocol.capitalize()))
    protocols = {measurement.row.protocol for measurement in measured}
    if TUNED not in protocols:
        return _file_name(protocol), view
    if protocols == {TUNED}:
        return TUNED, replace(view, title="By class names, tuned on the data set")
    return _file_name(protocol), replace(view, title="By class names: zero-shot, and tuned")


def _table(protocol: str, measured: Sequence[Measurement]) -> Table:
    file_name, view = _view(protocol, measured)
    shown = [m for m in measured if _is_shown(m.row.metric, view)]
    groups = group_rows(shown, lambda m: slot_of(m, view.columns_by), view.columns_by)
    placed = _placed(groups, view)
    columns = ordered({slot for row in placed for slot in row}, [m.row.dataset for m in shown])
    headings = dataset_headings(dict.fromkeys(slot.dataset for slot in columns))
    return Table(
        name=file_name,
        title=view.title,
        caption=" ".join(
            filter(None, (*_words(view, columns), class_counts(shown), view.intervals))
        ),
        columns=tuple(
            Column(heading=slot.heading, group=headings[slot.dataset]) for slot in columns
        ),
        rows=tuple(
            Row(
                label=name,
                section=_section(shown, members),
                detail=told_detail(detail, members, shown, _blend(members)),
                cells=_cells(protocol, columns, by_slot, shown),
            )
            for (name, detail), members, by_slot in _by_protocol(groups, placed)
        ),
        notes=footnotes_of_all(shown)
        | {key: note for m in shown for key, note in difference_note(m).items()},
    )


def _placed(groups: Groups, view: View) -> list[dict[Slot, Measurement]]:
    """The measurements of each row by their columns."""
    own = [{slot_of(m, view.columns_by): m for m in members} for members in groups.values()]
    shared = shared_slots(own)
    return [{shared.get(slot, slot): m for slot, m in row.items()} for row in own]


def _words(view: View, columns: Sequence[Slot]) -> list[str]:
    """What is particular about the numbers, and what metrics are that few know."""
    there = {slot.metric for slot in columns}
    return [view.caption, *(words for name, words in _EXPLAINED.items() if name in there)]


def _section(shown: Sequence[Measurement], members: Sequence[Measurement]) -> str:
    """The heading of a row, where some rows are zero-shot and others are not."""
    if len({m.row.protocol for m in shown}) < 2:
        return ""
    return _SECTIONS.get(members[0].row.protocol, "")


def _by_protocol(
    groups: Groups, placed: Sequence[Mapping[Slot, Measurement]]
) -> list[tuple[tuple[str, str], list[Measurement], Mapping[Slot, Measurement]]]:
    """The rows of a table, those that are zero-shot before those that are not."""
    rows = [(*item, by_slot) for item, by_slot in zip(groups.items(), placed, strict=True)]
    return sorted(rows, key=lambda row: row[1][0].row.protocol == TUNED)


def _is_shown(metric: str, view: View) -> bool:
    return not view.metrics or metric in view.metrics or DIFFERENCE in metric


def _blend(members: Sequence[Measurement]) -> str:
    """The share of tuned weights that a row of blended weights was scored with."""
    share = members[0].row.provenance.get("blend")
    return "" if share is None else f"{share:g} of the tuned weights"


def _file_name(protocol: str) -> str:
    """A known protocol is its own file name; any other word is read from a file, so not trusted."""
    if protocol in VIEWS:
        return protocol
    return "other-" + re.sub(r"[^A-Za-z0-9-]+", "-", protocol)


def _cells(
    protocol: str,
    columns: Sequence[Slot],
    members: Mapping[Slot, Measurement],
    shown: Sequence[Measurement],
) -> tuple[Cell, ...]:
    own = list(members.values())
    asked = {slot.dataset for slot in members}
    cells = []
    for slot in columns:
        if slot in members:
            cells.append(_measured(slot, members[slot]))
        elif slot.dataset in asked or protocol not in _REPEATABLE:
            cells.append(Cell())
        else:
            cells.append(Cell(command=repeat_command(protocol, slot.dataset, own, shown)))
    return tuple(cells)


def _measured(slot: Slot, measurement: Measurement) -> Cell:
    cell = measured_cell(measurement)
    if slot.metric == measurement.row.metric:
        return cell
    return replace(cell, notes=(*cell.notes, *difference_note(measurement)))
