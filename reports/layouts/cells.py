"""Pieces that both kinds of layout share."""

from collections.abc import Sequence

from reports.layouts.claims import claim_notes
from reports.measurements import Measurement
from reports.paper.numbers import PaperNumber
from reports.table_model import Cell, Note

# What a difference from another feature set is called, before that one's name.
DIFFERENCE = "top1_minus_"
METRIC_HEADINGS = {
    "top1": "Top-1",
    "top5": "Top-5",
    "mean_per_class": "Mean per class",
    "harmonic_mean": "HM",
    "base_top1": "Base top-1",
    "novel_top1": "Novel top-1",
    "calibration_error": "Calibration error",
    "mean_average_precision": "mAP",
    **{f"precision_at_{k}": f"P@{k}" for k in (1, 5, 10)},
    **{
        f"{way}_{metric}": f"{words} {heading}"
        for way, words in (("t2v", "Text to video"), ("v2t", "Video to text"))
        for metric, heading in (
            *((f"recall_at_{k}", f"R@{k}") for k in (1, 5, 10)),
            ("median_rank", "median rank"),
        )
    },
    "num_frames": "Frames",
    "views": "Views",
    "gflops": "GFLOPs",
    "throughput": "Views/s",
    "params_millions": "Params (M)",
}
DATASET_HEADINGS = {
    "k400": "K-400",
    "k400-tiny": "K400-tiny",
    "k600": "K-600",
    "hmdb51": "HMDB-51",
    "ucf101": "UCF-101",
    "ssv2": "SSv2",
}
INTERVAL_CAPTION = (
    "Percent, with 95% bootstrap intervals over videos; "
    "± is the (population) standard deviation over splits or seeds."
)


def measured_cell(found: Measurement) -> Cell:
    """A number of ours."""
    return Cell(
        value=found.value,
        low=found.low,
        high=found.high,
        std=found.std,
        source=found.name,
        notes=tuple(_notes(found)),
    )


def cell_notes(found: Sequence[Measurement]) -> dict[str, Note]:
    """The footnotes of `measured_cell`: what was not scored, and what a number cannot claim."""
    return {key: note for measurement in found for key, note in _notes(measurement).items()}


def _notes(found: Measurement) -> dict[str, Note]:
    key = _coverage_key(found)
    return ({key: _coverage_note(found)} if key else {}) | claim_notes(found)


def _coverage_key(found: Measurement) -> str:
    """Empty when every video of the split is scored; no spaces, as in the paper's own notes."""
    quarantined, todo = found.row.num_quarantined, found.num_todo
    if not quarantined + todo:
        return ""
    total = found.row.num_videos + quarantined + todo
    return f"quarantined={quarantined},not-extracted={todo},of={total}"


def _coverage_note(found: Measurement) -> Note:
    counts = {"quarantined": found.row.num_quarantined, "not extracted": found.num_todo}
    missing = sum(counts.values())
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts.items() if count)
    verb = "is" if missing == 1 else "are"
    total = found.row.num_videos + missing
    return Note(text=f"{missing} of {total} videos {verb} not scored ({reasons})")


def paper_cell(number: PaperNumber | None) -> Cell:
    """A number of the paper, spelt as printed."""
    if number is None:
        return Cell()
    if not number.text:
        return Cell(text="\u2013", notes=number.notes)
    sign = "+" if number.section == "gain" else ""
    text = sign + (f"{number.text} ± {number.std}" if number.std else number.text)
    std = float(number.std) if number.std else None
    return Cell(value=number.value, std=std, text=text.replace("x", "×"), notes=number.notes)


def metric_heading(metric: str) -> str:
    """Heading of a metric; an unknown one is its own name in words."""
    if metric.startswith(DIFFERENCE):
        return f"Top-1 minus {metric.removeprefix(DIFFERENCE)}"
    return METRIC_HEADINGS.get(metric, metric.replace("_", " "))


def dataset_heading(dataset: str) -> str:
    """The paper's spelling of its data sets; others as they are named in the store."""
    return DATASET_HEADINGS.get(dataset, dataset)
