"""Footnotes of our numbers: what was not scored, what they claim, how they differ from the paper.

Keys hold no spaces, as those of the paper's own notes.
"""

import re
from collections.abc import Mapping, Sequence

from harness.results.ranking_marks import ranking_mark
from reports.layouts.grouping import short_template
from reports.measurements import Measurement
from reports.paper.paper_settings import (
    PAPER_TEMPLATES,
    is_training_split,
    paper_classes,
    paper_frames,
)
from reports.table_model import Note

# Of these it is known that checkpoints are tuned on videos of the data set.
_TUNED_BY_DESIGN = ("few-shot", "supervised", "base-to-novel", "ablation-fusion")
# What these vary is told by every row.
_VARIED = {"ablation-frames": "frames", "ablation-templates": "template"}

HEAD_NOTE = "head-on-frozen-features"
_HEAD_DOUBT = Note(
    text="Here the head alone is trained, on frozen features; the paper's ActionCLIP also tunes "
    "both towers, as vifi train --system actionclip does."
)
# Splits of zero-shot, training runs of base-to-novel.
_PAPER_RUNS = 3


def footnotes(measurement: Measurement) -> dict[str, Note]:
    """What was not scored, and what the number cannot claim; by key."""
    return _coverage(measurement) | _claims(measurement)


def footnotes_of_all(measurements: Sequence[Measurement]) -> dict[str, Note]:
    """Those of `footnotes` and `doubts` of all of them, each once."""
    return {
        key: note
        for measurement in measurements
        for key, note in (footnotes(measurement) | doubts(measurement)).items()
    }


def _coverage(measurement: Measurement) -> dict[str, Note]:
    """Empty where every video that the list of the split names is scored."""
    row, notes = measurement.row, {}
    if measurement.is_part:
        text = f"{row.num_videos:,} of {row.listed:,} listed videos"
        notes[f"scored={row.num_videos},listed={row.listed}"] = Note(text=text)
    if alone := _count(row.provenance.get("alone")):
        text = f"{alone:,} videos have no other of their class elsewhere and do not ask"
        notes[f"alone={alone}"] = Note(text=text)
    if missing := _count(row.provenance.get("uncaptioned")):
        text = f"{missing:,} further videos have no caption and are not searched"
        notes[f"uncaptioned={missing}"] = Note(text=text)
    if row.provenance.get("shots_told"):
        text = "K is as told; the checkpoint does not say on how many videos it was tuned"
        notes["shots-as-told"] = Note(text=text)
    counts = {"quarantined": row.num_quarantined, "not extracted": measurement.num_todo}
    if missing := sum(counts.values()):
        total = row.num_videos + missing
        key = f"quarantined={row.num_quarantined},not-extracted={measurement.num_todo},of={total}"
        reasons = ", ".join(f"{count} {reason}" for reason, count in counts.items() if count)
        verb = "is" if missing == 1 else "are"
        notes[key] = Note(text=f"{missing} of {total} videos {verb} not scored ({reasons})")
    return notes


def _claims(measurement: Measurement) -> dict[str, Note]:
    """On videos it was tuned on, or otherwise than trained."""
    row = measurement.row
    notes = [f"{mark[:1].upper()}{mark[1:]}."] if (mark := ranking_mark(row)) else []
    if seen := _count(row.provenance.get("shared_videos")):
        share = f"{seen:,} of the {row.num_videos:,} videos"
        notes.append(f"{share} are among those it was tuned on ({row.tuned_on}).")
    elif row.tuned_on and row.protocol not in _TUNED_BY_DESIGN:
        notes.append(f"Tuned on {row.tuned_on}: not zero-shot.")
    if differing := _not_as_trained(measurement):
        notes.append(f"Not as it was trained: {differing}.")
    return {_key(text): Note(text=text) for text in notes}


def _not_as_trained(measurement: Measurement) -> str:
    differing = measurement.row.provenance.get("not_as_trained")
    if not isinstance(differing, Mapping):
        return ""
    varied = _VARIED.get(measurement.row.protocol)
    return "; ".join(
        f"{str(what).replace('_', ' ')} {how}" for what, how in differing.items() if what != varied
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def doubts(measurement: Measurement) -> dict[str, Note]:
    """What has to be known of a number of ours beside one of the paper's: the setting as far as it
    is not the paper's, and what else differs.

    Of a model that stands beside none of the paper's only other numbers of classes.
    """
    row, notes = measurement.row, {}
    if measurement.is_stand_in:
        return {}
    classes = paper_classes(measurement.dataset, row.subset)
    if classes not in (None, row.classes):
        text = f"{row.classes} classes compete; for the paper's numbers {classes} do."
        notes[f"classes={row.classes},paper={classes}"] = Note(text=text)
    if not (measurement.is_comparable and measurement.method):
        return notes
    if is_training_split(row.split):
        text = f"Split {row.split}, by its name one to train on; the paper scores test splits."
        notes[_key(f"split={row.split}")] = Note(text=text)
    if measurement.method == "ActionCLIP" and not measurement.system:
        notes[HEAD_NOTE] = _HEAD_DOUBT
    template = PAPER_TEMPLATES.get(measurement.method)
    if template and row.classifier == "text" and row.template != template:
        shown = short_template(row.template)
        text = f"Prompt template “{shown}”; the paper's for {measurement.method} is “{template}”."
        notes[_key(f"template={row.template},{measurement.method}")] = Note(text=text)
    frames = paper_frames(row.protocol, measurement.method)
    if row.num_frames != frames:
        text = f"{row.num_frames} frames per view; the paper takes {frames}."
        notes[f"frames={row.num_frames},paper={frames}"] = Note(text=text)
    return notes | _runs_doubt(measurement)


def _runs_doubt(measurement: Measurement) -> dict[str, Note]:
    """The paper's number is a mean of three, ours may be of fewer."""
    over = {"zero-shot": "splits", "base-to-novel": "seeds"}.get(measurement.row.protocol)
    # What was not tuned has no seeds.
    if over is None or (over == "seeds" and measurement.method == "Vanilla CLIP"):
        return {}
    provenance = measurement.row.provenance
    count = provenance.get("count") if provenance.get("over") == over else 1
    if count in (None, _PAPER_RUNS):
        return {}
    what = {"splits": "test split", "seeds": "training run"}[over]
    text = f"{count} {what}{'s' * (count != 1)}; the paper's number is the mean of {_PAPER_RUNS}."
    return {_key(f"{over}={count}"): Note(text=text)}


def _key(text: str) -> str:
    return re.sub(r"\s+", "_", text)
