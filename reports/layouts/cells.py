"""Pieces that both kinds of layout share."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from reports.layouts.footnotes import footnotes
from reports.measurements import Measurement, paper_dataset
from reports.paper.paper_numbers import PaperNumber
from reports.table_model import NO_NUMBER, Cell

# In the metric of a difference from another feature set, before that one's name.
DIFFERENCE = "_minus_"
# In the place of that name, where a column has differences from several; none is called so.
ANOTHER = "\u2026"
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
            ("mean_rank", "mean rank"),
        )
    },
    "v2v_mean_average_precision": "Video to video mAP",
    **{f"v2v_recall_at_{k}": f"Video to video R@{k}" for k in (1, 5, 10)},
    **{f"r{rank}_iou_{least}": f"R{rank}@{least}" for rank in (1, 5) for least in (0.3, 0.5, 0.7)},
    **{f"map_iou_{least}": f"mAP@{least}" for least in (0.5, 0.75)},
    "map_average": "mAP",
    "hit_at_1": "HIT@1",
    "mean_iou": "mIoU",
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
    "Percent, with 95% bootstrap intervals over videos, or over files, groups and films where "
    "several videos are of one; ± is the (population) standard deviation over splits or seeds."
)


def measured_cell(measurement: Measurement) -> Cell:
    """A number of ours."""
    return Cell(
        value=measurement.value,
        low=measurement.low,
        high=measurement.high,
        std=measurement.std,
        source=measurement.name,
        notes=tuple(footnotes(measurement)),
        is_part=measurement.is_part,
        number=measurement.number,
    )


def beside_paper(cell: Cell, number: PaperNumber | None) -> Cell:
    """A number of ours with its difference from the paper's; of a part of a list there is none."""
    if number is None or number.value is None or cell.value is None or cell.is_part:
        return cell
    return replace(cell, difference=cell.value - number.value)


def class_counts(measurements: Sequence[Measurement]) -> str:
    """How many classes compete, per data set: `Classes: UCF-101 51 base, 50 novel.`"""
    counts: dict[str, dict[str, set[int]]] = {}
    for row in (m.row for m in measurements if m.row.provenance.get("resampled") != "videos"):
        of_dataset = counts.setdefault(dataset_heading(paper_dataset(row.dataset)), {})
        of_dataset.setdefault(row.subset, set()).add(row.classes)
    phrases = []
    for heading, subsets in counts.items():
        # Where subsets compete apart, all of them are only those of the harmonic mean.
        shown = {name: sorted(counted) for name, counted in subsets.items() if name != "all"}
        shown = shown or {"": sorted(subsets["all"])}
        parts = [" ".join([" or ".join(map(str, n)), name]).strip() for name, n in shown.items()]
        phrases.append(f"{heading} {', '.join(parts)}")
    return f"Classes: {'; '.join(phrases)}." if phrases else ""


def paper_cell(number: PaperNumber | None) -> Cell:
    """A number of the paper, spelt as printed."""
    if number is None:
        return Cell()
    if not number.text:
        return Cell(text=NO_NUMBER, notes=number.notes)
    sign = "+" if number.section == "gain" else ""
    text = sign + (f"{number.text} ± {number.std}" if number.std else number.text)
    std = float(number.std) if number.std else None
    return Cell(value=number.value, std=std, text=text.replace("x", "×"), notes=number.notes)


def metric_heading(metric: str) -> str:
    """Heading of a metric; an unknown one is its own name in words."""
    metric, _, other = metric.partition(DIFFERENCE)
    if other:
        if other.startswith(ANOTHER):
            other = f"another {other.removeprefix(ANOTHER)}".rstrip()
        return f"{metric_heading(metric)} minus {other}"
    return METRIC_HEADINGS.get(metric, metric.replace("_", " "))


def dataset_headings(datasets: Iterable[str]) -> dict[str, str]:
    """A heading for each of these names of data sets: the paper's spelling where no two share it,
    else their own."""
    spelt = {name: dataset_heading(paper_dataset(name)) for name in datasets}
    counts = Counter(spelt.values())
    return {name: heading if counts[heading] == 1 else name for name, heading in spelt.items()}


def dataset_heading(dataset: str) -> str:
    """The paper's spelling of its data sets; others as they are named in the store."""
    return DATASET_HEADINGS.get(dataset, dataset)
