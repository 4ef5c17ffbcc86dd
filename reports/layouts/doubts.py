"""What has to be known of a number of ours that stands beside one of the paper's."""

import re

from reports.layouts.grouping import short_template
from reports.measurements import Measurement
from reports.paper.paper_settings import PAPER_TEMPLATES, paper_classes, paper_frames
from reports.table_model import Note

HEAD_NOTE = "head-on-frozen-features"
_HEAD_METHODS = ("A5", "ActionCLIP")
# Splits of zero-shot, training runs of base-to-novel.
_PAPER_RUNS = 3
_HEAD_DOUBT = Note(
    text="Here the head alone is trained, on frozen features of CLIP; the paper's ActionCLIP also "
    "tunes both towers, and in its Tables 7 and 8 every model was tuned on Kinetics-400 first."
)


def doubts(found: Measurement) -> dict[str, Note]:
    """Footnotes by key: the setting as far as it is not the paper's, and what else differs.

    Of a model that stands beside none of the paper's only other numbers of classes. Keys hold no
    spaces.
    """
    row, notes = found.row, {}
    classes = paper_classes(found.dataset, row.subset)
    if classes not in (None, row.classes):
        told = f"{row.classes} classes compete; for the paper's numbers {classes} do."
        notes[f"classes={row.classes},paper={classes}"] = Note(text=told)
    if not (found.is_comparable and found.method):
        return notes
    if found.method in _HEAD_METHODS:
        notes[HEAD_NOTE] = _HEAD_DOUBT
    template = PAPER_TEMPLATES.get(found.method)
    if template and row.classifier == "text" and row.template != template:
        shown = short_template(row.template)
        told = f"Prompt template “{shown}”; the paper's for {found.method} is “{template}”."
        notes[_key(f"template={row.template},{found.method}")] = Note(text=told)
    frames = paper_frames(row.protocol, found.method)
    if row.num_frames != frames:
        told = f"{row.num_frames} frames per view; the paper takes {frames}."
        notes[f"frames={row.num_frames},paper={frames}"] = Note(text=told)
    return notes | _runs_doubt(found)


def _runs_doubt(found: Measurement) -> dict[str, Note]:
    """The paper's number is a mean of three, ours may be of fewer."""
    over = {"zero-shot": "splits", "base-to-novel": "seeds"}.get(found.row.protocol)
    # What was not tuned has no seeds.
    if over is None or (over == "seeds" and found.method == "Vanilla CLIP"):
        return {}
    provenance = found.row.provenance
    count = provenance.get("count") if provenance.get("over") == over else 1
    if count in (None, _PAPER_RUNS):
        return {}
    what = {"splits": "test split", "seeds": "training run"}[over]
    told = f"{count} {what}{'s' * (count != 1)}; the paper's number is the mean of {_PAPER_RUNS}."
    return {_key(f"{over}={count}"): Note(text=told)}


def _key(text: str) -> str:
    return re.sub(r"\s+", "_", text)
