"""Pieces that both kinds of layout share."""

from reports.measurements import Measurement
from reports.paper.numbers import PaperNumber
from reports.table_model import Cell

METRIC_HEADINGS = {
    "top1": "Top-1",
    "top5": "Top-5",
    "mean_per_class": "Mean per class",
    "harmonic_mean": "HM",
    "calibration_error": "Calibration error",
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
    "± is the standard deviation over splits or seeds."
)


def measured_cell(found: Measurement) -> Cell:
    """A number of ours."""
    return Cell(value=found.value, low=found.low, high=found.high, std=found.std, source=found.name)


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
    return METRIC_HEADINGS.get(metric, metric.replace("_", " "))


def dataset_heading(dataset: str) -> str:
    """The paper's spelling of its data sets; others as they are named in the store."""
    return DATASET_HEADINGS.get(dataset, dataset)
