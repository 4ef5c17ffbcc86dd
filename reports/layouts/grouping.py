"""Which measurements share a row of a table, and what tells two rows of one model apart."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence

from reports.measurements import METHODS, Measurement

# A difference in one of these always makes another row ...
_ALWAYS = {
    "protocol": "{}",
    "classifier": "{}",
    "trained_fusion": "trained with {} fusion",
    "fusion": "{} fusion",
    "ranking": "{}",
    "num_frames": "{} frames",
    "num_views": "{} views",
    "template": "template “{}”",
    "shots": "{} shots",
    "train_split": "trained on {}",
    "seed": "seed {}",
}
# ... in these only where two numbers would fall into one cell: base and novel classes, for
# example, have text sets of their own and still belong into one row.
_IF_NEEDED = {
    "split": "{}",
    "scored_checkpoint": "scored by {}",
    "text_set": "texts {}",
    "feature_set": "features {}",
    "classes": "{} classes",
}
_WORDS = _ALWAYS | _IF_NEEDED
# What rows of two models cannot be compared without: told of all where any row differs.
_OF_THE_TABLE = ("classifier", "fusion")

# What merges or groups frames is called otherwise in some protocols.
_FUSION_WORDS = {"moment-retrieval": "stretches by {}"}
_MANY_TEMPLATES = 4

Groups = dict[tuple[str, str], list[Measurement]]


def group_rows(
    measured: Sequence[Measurement],
    slot_of: Callable[[Measurement], object],
    columns_by: Sequence[str] = (),
) -> Groups:
    """(name, detail) -> its measurements, one per column; the paper's methods come first.

    `slot_of` gives the column of a measurement, `columns_by` the fields that make columns.
    """
    fields = _distinguishing_fields(measured, slot_of, columns_by)
    varying = _varying_fields(measured, fields)
    groups: Groups = {}
    for measurement in sorted(measured, key=_method_position):
        key = measurement.name, _detail(measurement, varying[measurement.name])
        groups.setdefault(key, []).append(measurement)
    return groups


def _distinguishing_fields(
    measured: Sequence[Measurement],
    slot_of: Callable[[Measurement], object],
    columns_by: Sequence[str],
) -> list[str]:
    fields = [name for name in _ALWAYS if name not in columns_by]
    for name in _IF_NEEDED:
        cells = {(m.name, slot_of(m), *_values(m, fields)) for m in measured}
        if len(cells) == len(measured):
            break
        fields.append(name)
    return fields


def _values(measurement: Measurement, fields: Sequence[str]) -> list:
    return [getattr(measurement.row, name) for name in fields]


def _varying_fields(measured: Sequence[Measurement], fields: Sequence[str]) -> dict[str, list[str]]:
    """Per name the fields that take more than one value: for it, or for any in `_OF_THE_TABLE`."""
    seen = defaultdict(set)
    for measurement in measured:
        for name in fields:
            of = "" if name in _OF_THE_TABLE else measurement.name
            seen[of, name].add(getattr(measurement.row, name))
    return {
        model: [name for name in fields if len(seen[model, name] | seen["", name]) > 1]
        for model in {measurement.name for measurement in measured}
    }


def _detail(measurement: Measurement, fields: Sequence[str]) -> str:
    values = zip(fields, _values(measurement, fields), strict=True)
    shown = ((name, value) for name, value in values if value not in ("", None))
    return ", ".join(_in_words(measurement, name, value) for name, value in shown)


def _in_words(measurement: Measurement, name: str, value: object) -> str:
    if name == "template":
        value = short_template(str(value))
    if name == "fusion":
        return _FUSION_WORDS.get(measurement.row.protocol, _WORDS[name]).format(value)
    words = _WORDS[name].format(value)
    return words.removesuffix("s") if value == 1 else words


def told_detail(
    detail: str, members: Sequence[Measurement], shown: Sequence[Measurement], *before: str
) -> str:
    """The detail of a row, and what its numbers are of, where those of other rows are of something
    else: a part of the published list, or a checkpoint that was tuned on what is scored."""
    words = []
    for word in (_coverage, _tuning):
        own = {word(measurement) for measurement in members}
        if len(own) == 1 and len({word(measurement) for measurement in shown}) > 1:
            words += filter(None, own)
    if any(word.startswith("tuned on ") for word in words):
        detail = re.sub(r"^tuned(, |$)", "", detail)
    return ", ".join(filter(None, (*before, detail, *words)))


def _coverage(measurement: Measurement) -> str:
    row = measurement.row
    return f"{row.num_videos:,} of {row.listed:,} listed" if row.listed is not None else ""


def _tuning(measurement: Measurement) -> str:
    return f"tuned on {measurement.row.tuned_on}" if measurement.row.tuned_on else ""


def short_template(joined: str) -> str:
    """The templates of a result row, of many the first, the last and their count."""
    every = joined.split(" | ")
    if len(every) < _MANY_TEMPLATES:
        return joined
    return f"{every[0]} … {every[-1]} ({len(every)} templates)"


def _method_position(measurement: Measurement) -> int:
    return METHODS.index(measurement.method) if measurement.method else len(METHODS)
