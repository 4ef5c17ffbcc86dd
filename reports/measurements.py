"""Result rows as the tables need them: in percent, with their deviation, and named.

The harness writes fractions, and a deviation as a row of its own (`top1_std`). A mean over splits
or seeds carries `over` in its provenance; the rows it was made of are left out of tables.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from harness.results import ResultRow
from harness.results.row_names import is_of_several_runs, row_name
from reports.paper.paper_settings import is_paper_setting

# A method of the paper is recognised by these words in the name of a checkpoint or feature set.
# The first that fits wins: "vifi-clip-image-ft" is image fine-tuning.
METHOD_WORDS = {
    "A5": ("a5",),
    "A6": ("a6",),
    "ActionCLIP": ("actionclip", "actionclip-transf"),
    "X-CLIP": ("x-clip", "xclip"),
    "VL prompting": ("vl-prompting", "vl-prompt"),
    "CLIP image-FT": ("image-ft",),
    "CLIP text-FT": ("text-ft",),
    "Vanilla CLIP": ("vanilla", "openai"),
    "ViFi-CLIP": ("vifi-clip", "full-ft"),
}
METHODS = (
    *("Vanilla CLIP", "ActionCLIP", "X-CLIP", "A5", "A6"),
    *("CLIP image-FT", "CLIP text-FT", "ViFi-CLIP", "VL prompting"),
)

# What `vifi train --system` trains is known for sure.
_METHOD_OF_SYSTEM = {"actionclip": "ActionCLIP", "x-clip": "X-CLIP"}
_DATASETS = {
    "k400": ("kinetics400", "k400"),
    "k400-tiny": ("kinetics400tiny", "k400tiny"),
    "k600": ("kinetics600", "k600"),
    "hmdb51": ("hmdb51", "hmdb"),
    "ucf101": ("ucf101", "ucf"),
    "ssv2": ("ssv2", "somethingsomethingv2", "something2something", "sthv2"),
}
_DATASET_OF = {alias: name for name, aliases in _DATASETS.items() for alias in aliases}
_STAND_IN = "mini-"
_DIGEST = re.compile(r"[0-9a-f]{12,64}")
# Joined by "+" in a mean where the rows it was made of differ.
_JOINED_FIELDS = ("split", "feature_set", "scored_checkpoint", "text_set")
# Equal in a mean and in the rows it was made of.
_SHARED_FIELDS = (
    "asked_protocol",
    "dataset",
    "subset",
    "template",
    "classifier",
    "trained_fusion",
    "fusion",
    "lever",
    "num_frames",
    "num_views",
    "shots",
    "ranking",
    "metric",
    "train_split",
)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One result row in the unit of the tables."""

    row: ResultRow
    """The row itself, its value a fraction."""
    value: float
    """Percent for shares, otherwise as the row has it."""
    low: float | None = None
    """Lower end of the 95% interval."""
    high: float | None = None
    """Upper end of the 95% interval."""
    std: float | None = None
    """Standard deviation over splits or seeds, for a mean."""
    name: str
    """What to call it: a feature set's newest name, without one its id."""
    number: str
    """`ResultRow.number_name` of the row as it was written, wherever it stands."""
    method: str
    """Method of the paper that its names speak of, or empty."""
    dataset: str
    """The paper's name of the data set, or the row's own."""
    parts: tuple["Measurement", ...] = ()
    """Of a mean the measurements that it was made of."""
    is_stand_in: bool = False
    """Whether its data set stands for the paper's, in tables that say so."""

    @property
    def is_defined(self) -> bool:
        """Whether the value is a number; the harness writes NaN for one that does not exist."""
        return math.isfinite(self.value)

    @property
    def is_comparable(self) -> bool:
        """Whether model and number of classes are the paper's, as far as is known."""
        row = self.row
        model = row.provenance.get("model")
        return self.is_stand_in or is_paper_setting(model, self.dataset, row.subset, row.classes)

    @property
    def is_part(self) -> bool:
        """Whether the split holds but a part of the videos that its published list names."""
        return self.row.listed is not None

    @property
    def num_todo(self) -> int:
        """Videos of the split that were not extracted when it was scored."""
        return self.row.provenance.get("num_todo", 0)

    @property
    def system(self) -> str:
        """The system of `vifi train --system` that trained the model; empty for any other."""
        return str(self.row.provenance.get("system", ""))

    @property
    def is_bridged(self) -> bool:
        """Whether the model was tuned on Kinetics-400, and this is the score of another data set
        (the paper's section 5)."""
        entries = self.row.provenance.get("tuned_on") or ()
        names = [str(entry.get("dataset", "")) for entry in entries]
        tuned_on = {stands_for(name) or paper_dataset(name) for name in names}
        return self.row.protocol != "zero-shot" and "k400" in tuned_on - {self.dataset}

    @property
    def trained_fusion(self) -> str:
        """Fusion the model was tuned on video with; empty for vanilla CLIP, never tuned on any."""
        return "" if self.method == "Vanilla CLIP" else self.row.trained_fusion


def measurements(rows: Iterable[ResultRow]) -> list[Measurement]:
    """Every row but deviations, which join their mean, and parts of a mean, in their order.

    Of rows that differ only in what a feature set was called, the newest.
    """
    rows = _newest(rows)
    deviations = {row.nameless_key: row.value for row in rows if row.metric.endswith("_std")}
    numbers = [row for row in rows if not row.metric.endswith("_std")]
    means = defaultdict(list)
    for row in filter(is_mean, numbers):
        means[_shared_fields(row)].append(row)
    names = newest_names(rows)
    measured = [_measurement(row, names[set_of(row)], deviations) for row in numbers]
    whole, parts = [], defaultdict(list)
    for m in measured:
        of = [] if is_mean(m.row) else means[_shared_fields(m.row)]
        mean = next((mean for mean in of if _is_part(m.row, mean)), None)
        (whole if mean is None else parts[mean.nameless_key]).append(m)
    return [replace(m, parts=tuple(parts[m.row.nameless_key])) for m in whole]


def _newest(rows: Iterable[ResultRow]) -> list[ResultRow]:
    """Rows in the order they were first written, of several with one nameless key the newest."""
    rows = list(rows)
    newest = {row.nameless_key: row for row in sorted(rows, key=_time)}
    return [newest[key] for key in dict.fromkeys(row.nameless_key for row in rows)]


def _time(row: ResultRow) -> str:
    return str(row.provenance.get("time", ""))


def without_levers(measured: Iterable[Measurement]) -> list[Measurement]:
    """Plain scores: levers have a table of their own, and stand in no figure beside these."""
    return [measurement for measurement in measured if not measurement.row.lever]


def set_of(row: ResultRow) -> tuple[str, str, str]:
    """What a row was scored from: feature set and checkpoint, whatever they are called."""
    return row.feature_set, row.scored_checkpoint, row.checkpoint


def newest_names(rows: Iterable[ResultRow]) -> dict[tuple[str, str, str], str]:
    """One name for everything that was scored: what it was called when it was scored last."""
    return {set_of(row): row_name(row) for row in sorted(rows, key=_time)}


def is_mean(row: ResultRow) -> bool:
    """Whether a row is a mean over splits or seeds."""
    return "over" in row.provenance


def paper_dataset(name: str) -> str:
    """The paper's short name of a data set ("HMDB-51" -> "hmdb51"); others stay as they are."""
    return _DATASET_OF.get(re.sub(r"[^a-z0-9]", "", name.casefold()), name)


def stands_for(name: str) -> str:
    """The paper's data set that one of the demo's stands for ("mini-k400"); empty for others."""
    stood_for = paper_dataset(name.removeprefix(_STAND_IN))
    return stood_for if name.startswith(_STAND_IN) and stood_for in _DATASETS else ""


def method_of(names: Iterable[str]) -> str:
    """The paper's method which these names speak of; empty for none, and for more than one."""
    methods = {method for name in names if (method := _method_of_name(name))}
    return methods.pop() if len(methods) == 1 else ""


def features_of(row: ResultRow) -> tuple[str, ...]:
    """What `--features` takes to measure a row again: one feature set for each training run."""
    if not is_of_several_runs(row):
        return (row_name(row),)
    if len(row.feature_names) == row.provenance.get("count"):
        return row.feature_names
    return tuple(row.feature_set.split("+"))


def _measurement(row: ResultRow, name: str, deviations: dict[tuple, float]) -> Measurement:
    # Ranks count from 1; all else are shares.
    factor = 1.0 if row.metric.endswith("_rank") else 100.0
    std = deviations.get(replace(row, metric=f"{row.metric}_std").nameless_key)
    given = (row.ci_low, row.ci_high, std)
    low, high, std = (None if number is None else number * factor for number in given)
    return Measurement(
        row=row,
        value=row.value * factor,
        low=low,
        high=high,
        std=std,
        name=name,
        number=row.number_name,
        method=_method_of_row(row),
        dataset=paper_dataset(row.dataset),
    )


def _method_of_row(row: ResultRow) -> str:
    """By the system that trained it, else by the names of the features; a checkpoint that says
    another method contradicts them."""
    if system := _METHOD_OF_SYSTEM.get(str(row.provenance.get("system"))):
        return system
    by_features = method_of(row.feature_names)
    names = row.scored_checkpoint.split("+")
    by_checkpoint = method_of(name for name in names if not _DIGEST.fullmatch(name))
    if by_features and by_checkpoint and by_features != by_checkpoint:
        return ""
    return by_features or by_checkpoint


def _method_of_name(name: str) -> str:
    words = f"-{re.sub(r'[^a-z0-9]+', '-', name.casefold())}-"
    for method, aliases in METHOD_WORDS.items():
        if any(f"-{alias}-" in words for alias in aliases):
            return method
    return ""


def _shared_fields(row: ResultRow) -> tuple:
    return tuple(getattr(row, name) for name in _SHARED_FIELDS)


def _is_part(row: ResultRow, mean: ResultRow) -> bool:
    """Whether `row`, equal in the shared fields, is one of the splits or seeds of `mean`."""
    # Joined are names that may themselves hold a "+", as those of heads do.
    return all(f"+{getattr(row, name)}+" in f"+{getattr(mean, name)}+" for name in _JOINED_FIELDS)
