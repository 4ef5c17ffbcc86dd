"""Footnotes on what a number claims: on videos it was tuned on, or otherwise than trained."""

import re
from collections.abc import Mapping, Sequence

from harness.results import TUNED, ZERO_SHOT
from reports.measurements import Measurement
from reports.table_model import Note

TUNED_SECTION = "Tuned on the data set: not zero-shot"
_SECTIONS = {ZERO_SHOT: "Zero-shot", TUNED: TUNED_SECTION}
# Of these it is known that checkpoints are tuned on videos of the data set.
_TUNED_BY_DESIGN = ("few-shot", "supervised", "base-to-novel", "ablation-fusion")
# What these vary is told by every row.
_VARIED = {"ablation-frames": "frames", "ablation-templates": "template"}


def claim_notes(found: Measurement) -> dict[str, Note]:
    """Footnotes by key; keys hold no spaces."""
    row = found.row
    notes = []
    if seen := _count(row.provenance.get("shared_videos")):
        of = f"{seen:,} of the {row.num_videos:,} videos"
        notes.append(f"{of} are among those it was tuned on ({row.tuned_on}).")
    elif row.tuned_on and row.protocol not in _TUNED_BY_DESIGN:
        notes.append(f"Tuned on {row.tuned_on}: not zero-shot.")
    if differing := _differing(found):
        notes.append(f"Not as it was trained: {differing}.")
    return {re.sub(r"\s+", "_", text): Note(text=text) for text in notes}


def section_of(found: Sequence[Measurement], row: Sequence[Measurement]) -> str:
    """The heading of a row of a table, where some rows are zero-shot and others are not."""
    if len({m.row.protocol for m in found}) < 2:
        return ""
    return _SECTIONS.get(row[0].row.protocol, "")


def _differing(found: Measurement) -> str:
    told = found.row.provenance.get("not_as_trained")
    if not isinstance(told, Mapping):
        return ""
    varied = _VARIED.get(found.row.protocol)
    return "; ".join(
        f"{str(what).replace('_', ' ')} {how}" for what, how in told.items() if what != varied
    )


def _count(value: object) -> int:
    return value if type(value) is int else 0
