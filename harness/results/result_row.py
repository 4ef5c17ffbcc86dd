"""A result row: one number and all that remakes it, and how it is written as a JSON object.

Units: accuracies, rates and their intervals are fractions in [0, 1]; ranks count from 1.
A deviation over splits or seeds is a row of its own, whose metric ends in `_std`.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.results.former_names import FORMER_LEVERS
from harness.results.json_objects import check_type, plain, read_fields
from vifistore.errors import UsageError, first_few

if TYPE_CHECKING:
    import pandas as pd

SUBSETS = ("all", "base", "novel", "joint")
VALUE_FIELDS = (
    *("num_videos", "num_quarantined", "listed"),
    *("value", "ci_low", "ci_high", "provenance"),
    # It follows from the checkpoint and the videos.
    "tuned_on",
)
# What zero-shot is called where the checkpoint was tuned on the scored videos or their dataset.
ZERO_SHOT, TUNED = "zero-shot", "tuned"
# Entries of `lifted` that say what a lever took, and how they are told.
_CHOICES = {"text_set": "by texts", "features": "as", "tuned_on": "chosen on"}


@dataclass(frozen=True, kw_only=True)
class ResultRow:
    """One number and all that remakes it. Not-a-number is kept as `null` and read back as NaN."""

    protocol: str
    """zero-shot, tuned (scored so on what it was tuned on), base-to-novel, few-shot, supervised, or
    the name of an ablation."""
    dataset: str
    """Dataset the videos belong to."""
    split: str
    """Split scored; `a+b+c` for a mean over splits."""
    subset: str = "all"
    """Which classes compete and whose videos are scored: all, base, novel or joint."""
    feature_set: str
    """Id of the feature set; `a+b+c` for a mean over seeds with one feature set each."""
    feature_names: tuple[str, ...] = ()
    """Names of the feature set when it was scored, first the one that was asked for; of a mean
    over seeds one for each run."""
    scored_checkpoint: str
    """Checkpoint whose text tower and logit scale scored (a name, or a digest without one); empty
    for embeddings made elsewhere."""
    text_set: str
    """Id of the text embeddings; empty for a classifier that uses no text."""
    template: str = ""
    """Prompt templates joined by ` | `."""
    classifier: str = "text"
    """text, linear-probe, prototype, cache or tip-adapter."""
    trained_fusion: str = ""
    """Fusion the checkpoint was fine-tuned with; empty where it is not known."""
    fusion: str
    """Fusion scored with; of a lever that of the plain score that it is compared with."""
    num_frames: int
    """Frames per view."""
    num_views: int
    """Views per video."""
    shots: int | None = None
    """Training videos per class, or None."""
    seed: int | None = None
    """Seed of the training run or of the few-shot draw, or None."""
    classes: int
    """Number of classes that compete."""
    num_videos: int
    """Videos scored."""
    num_quarantined: int = 0
    """Videos of the split which could not be decoded; they are not part of the value."""
    listed: int | None = None
    """Videos that the split's published list names; None where the split holds all of them."""
    metric: str
    """top1, top5, mean_per_class, harmonic_mean, calibration_error, ..."""
    value: float
    """The number."""
    ci_low: float | None = None
    """Lower end of the 95% bootstrap interval over videos, or None."""
    ci_high: float | None = None
    """Upper end of the 95% bootstrap interval over videos, or None."""
    provenance: dict = field(default_factory=dict)
    """Recipe id, checkpoint digest, manifest digest, rows covered, command, versions, machine,
    time; what differs from the training (`not_as_trained`), and what the scored videos share with
    it (`tuned_on`, `shared_videos`, `shared_class_names`)."""
    ranking: str = ""
    """How retrieval asks and ranks, where not each caption by its own scores: `paragraphs`, and
    what normalises scores, as `qb-norm by train`."""
    lever: str = ""
    """What was done beyond the plain score, as `mutual-softmax`; empty for that itself."""
    tuned_on: str = ""
    """What the checkpoint was tuned on that shares a video or the dataset with what is scored, as
    "ucf101/train"; empty for none."""

    def __post_init__(self) -> None:
        if self.subset not in SUBSETS:
            raise UsageError(f"subset {self.subset!r} is none of {', '.join(SUBSETS)}")
        object.__setattr__(self, "feature_names", tuple(self.feature_names))

    @property
    def num_listed(self) -> int:
        """Videos that the split's list names, scored or not."""
        held = self.num_videos + self.num_quarantined + int(self.provenance.get("num_todo", 0))
        return held if self.listed is None else self.listed

    @property
    def train_split(self) -> str:
        """Split that a classifier was trained on, from the provenance; empty for text."""
        return "" if self.classifier == "text" else str(self.provenance.get("train_split", ""))

    @property
    def lever_choices(self) -> tuple[str, ...]:
        """What a lever took beside the feature set, from the provenance: the other sets by their
        names, descriptions by their text set, the split whose labels chose; empty for none."""
        lifted = self.provenance.get("lifted")
        if not self.lever or not isinstance(lifted, Mapping):
            return ()
        sets = lifted.get("weights")
        names = sorted(map(str, sets)) if isinstance(sets, Mapping) else []
        others = [f"with {name}" for name in names if name not in self.feature_names]
        told = [f"{word} {lifted[name]}" for name, word in _CHOICES.items() if lifted.get(name)]
        return *others, *told

    @property
    def asked_protocol(self) -> str:
        """The protocol that was asked for: what `tuned` says is no zero-shot was asked as that."""
        return ZERO_SHOT if self.protocol == TUNED else self.protocol

    @property
    def key(self) -> tuple:
        """What makes two rows the same measurement.

        A classifier trained on another split is another measurement, though no field says so, as is
        a lever that took other sets, descriptions or labels. A row that was called zero-shot before
        it was known to be tuned is the same.
        """
        fields = (getattr(self, name) for name in KEY_FIELDS if name != "protocol")
        return self.asked_protocol, *fields, self.train_split, *self.lever_choices

    @property
    def checkpoint(self) -> str:
        """Digest of the checkpoint, from the provenance; empty where it is not known."""
        return str(self.provenance.get("checkpoint") or "")

    @property
    def nameless_key(self) -> tuple:
        """The key, whatever the feature set was called: names are given and taken later."""
        others = ("feature_names", "protocol")
        fields = (getattr(self, name) for name in KEY_FIELDS if name not in others)
        named = (self.train_split, *self.lever_choices, self.checkpoint)
        return self.asked_protocol, *fields, *named

    @property
    def score_name(self) -> str:
        """Name of the score that this number was taken of, with all of its other metrics: equal
        settings give equal names, others others."""
        return f"{self.dataset}-{_digest(dataclasses.replace(self, metric=''))}"

    @property
    def number_name(self) -> str:
        """The same of this one number; of letters, digits and hyphens."""
        return f"row-{_digest(self)}"


def _digest(row: ResultRow) -> str:
    return hashlib.sha256(json.dumps(row.nameless_key).encode()).hexdigest()[:12]


FIELDS = tuple(f.name for f in dataclasses.fields(ResultRow))
KEY_FIELDS = tuple(name for name in FIELDS if name not in VALUE_FIELDS)


def to_frame(rows: Sequence[ResultRow]) -> "pd.DataFrame":
    """Rows as a table with one column per field, missing whole numbers as <NA>."""
    import pandas as pd

    frame = pd.DataFrame({name: [getattr(row, name) for row in rows] for name in FIELDS})
    kinds = {int: "Int64", int | None: "Int64", float: "float64", float | None: "float64"}
    fields = dataclasses.fields(ResultRow)
    return frame.astype({f.name: kinds[f.type] for f in fields if f.type in kinds})


def to_record(row: ResultRow) -> dict:
    """A row as plain JSON values: not-a-number and infinity become None."""
    return plain(row)


def from_record(record: object) -> ResultRow:
    """A row from plain JSON values; raises UsageError that names what does not fit."""
    if isinstance(record, Mapping) and record.get("value", 0) is None:
        record = {**record, "value": math.nan}
    try:
        values, unknown = read_fields(ResultRow, record)
        if unknown:
            raise ValueError(f"unknown {first_few(sorted(unknown), 3, 30)}")
        check_type("num_todo", values.get("provenance", {}).get("num_todo", 0), int)
    except ValueError as error:
        raise UsageError(f"not a result row: {error}") from error
    if values.get("lever") in FORMER_LEVERS:
        values["lever"] = FORMER_LEVERS[values["lever"]]
    return ResultRow(**values)
