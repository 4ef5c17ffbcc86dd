"""Pieces that both kinds of layout share."""

from collections.abc import Sequence

from reports.layouts.claim_notes import claim_notes
from reports.measurements import Measurement, paper_dataset
from reports.paper.paper_numbers import PaperNumber
from reports.table_model import Cell, Note

# In the metric of a difference from another feature set, before that one's name.
DIFFERENCE = "_minus_"
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
        is_part=found.is_part,
    )


def cell_notes(found: Sequence[Measurement]) -> dict[str, Note]:
    """The footnotes of `measured_cell`: what was not scored, and what a number cannot claim."""
    return {key: note for measurement in found for key, note in _notes(measurement).items()}


def _notes(found: Measurement) -> dict[str, Note]:
    return _coverage(found) | claim_notes(found)


def classes_told(found: Sequence[Measurement]) -> str:
    """How many classes compete, per data set: `Classes: UCF-101 51 base, 50 novel.`"""
    counts: dict[str, dict[str, set[int]]] = {}
    for row in (m.row for m in found if m.row.provenance.get("resampled") != "videos"):
        of_dataset = counts.setdefault(dataset_heading(paper_dataset(row.dataset)), {})
        of_dataset.setdefault(row.subset, set()).add(row.classes)
    told = []
    for heading, subsets in counts.items():
        # Where subsets compete apart, all of them are only those of the harmonic mean.
        shown = {name: sorted(found) for name, found in subsets.items() if name != "all"}
        shown = shown or {"": sorted(subsets["all"])}
        parts = [" ".join([" or ".join(map(str, n)), name]).strip() for name, n in shown.items()]
        told.append(f"{heading} {', '.join(parts)}")
    return f"Classes: {'; '.join(told)}." if told else ""


def _coverage(found: Measurement) -> dict[str, Note]:
    """Footnotes by key, which holds no spaces, as in the paper's own notes; empty when every video
    that the list of the split names is scored."""
    row, notes = found.row, {}
    if found.is_part:
        told = f"{row.num_videos:,} of {row.listed:,} listed videos"
        notes[f"scored={row.num_videos},listed={row.listed}"] = Note(text=told)
    if row.provenance.get("shots_told"):
        told = "K is as told; the checkpoint does not say on how many videos it was tuned"
        notes["shots-as-told"] = Note(text=told)
    if row.num_quarantined + found.num_todo:
        total = row.num_videos + row.num_quarantined + found.num_todo
        key = f"quarantined={row.num_quarantined},not-extracted={found.num_todo},of={total}"
        notes[key] = _coverage_note(found)
    return notes


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
    metric, _, other = metric.partition(DIFFERENCE)
    if other:
        return f"{metric_heading(metric)} minus {other}"
    return METRIC_HEADINGS.get(metric, metric.replace("_", " "))


def dataset_heading(dataset: str) -> str:
    """The paper's spelling of its data sets; others as they are named in the store."""
    return DATASET_HEADINGS.get(dataset, dataset)
