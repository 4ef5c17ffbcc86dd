"""What has to be known of a number of ours that stands beside one of the paper's."""

import re

from reports.layouts.grouping import short_template
from reports.measurements import Measurement
from reports.paper.settings import PAPER_TEMPLATES, paper_frames
from reports.table_model import Note

HEAD_NOTE = "head-on-frozen-features"
_HEAD_METHODS = ("A5", "ActionCLIP")
_HEAD_DOUBT = Note(
    text="Here the head alone is trained, on frozen features of CLIP; the paper's ActionCLIP also "
    "tunes both towers."
)


def doubts(found: Measurement) -> dict[str, Note]:
    """Footnotes by key: the setting as far as it is not the paper's, and what else differs.

    Empty for a model that stands beside none of the paper's. Keys hold no spaces.
    """
    if not (found.is_comparable and found.method):
        return {}
    notes = {HEAD_NOTE: _HEAD_DOUBT} if found.method in _HEAD_METHODS else {}
    row = found.row
    template = PAPER_TEMPLATES.get(found.method)
    if template and row.classifier == "text" and row.template != template:
        shown = short_template(row.template)
        told = f"Prompt template “{shown}”; the paper's for {found.method} is “{template}”."
        notes[_key(f"template={row.template},{found.method}")] = Note(text=told)
    frames = paper_frames(row.protocol)
    if row.num_frames != frames:
        told = f"{row.num_frames} frames per view; the paper takes {frames}."
        notes[f"frames={row.num_frames}"] = Note(text=told)
    return notes


def _key(text: str) -> str:
    return re.sub(r"\s+", "_", text)
