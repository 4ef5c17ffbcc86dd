"""Rows of two systems, or of two results folders, that are of one setting.

for first, second in counterparts(rows_of_one, rows_of_other): ...
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from harness.results.result_row import ZERO_SHOT, ResultRow

# Rows that are compared agree in these, beside what asks ...
_SETTING = (
    *("dataset", "split", "subset", "classes", "classifier", "fusion", "ranking", "lever"),
    *("metric", "train_split"),
)
# ... and of several in these, as far as one does: the first counts most.
_CLOSER = (
    *("asked_protocol", "shots", "seed", "num_frames", "num_views", "template", "trained_fusion"),
)
# Two systems may differ in these, which has to be told.
_TOLD = ("asked_protocol", "shots", "seed", "num_frames", "num_views", "template")
_TEXT, _CLASS_NAMES = "text", "class names"
# Of these a score by class names is the same, of whatever was tuned on what.
_BY_CLASS_NAMES = (ZERO_SHOT, "few-shot", "supervised")

Pair = tuple[ResultRow, ResultRow]


def counterparts(first: Iterable[ResultRow], second: Sequence[ResultRow]) -> list[Pair]:
    """Each row of `first` with the one row of `second` of its setting; without one, or with
    several that are equally close, it is left out. Deviations are no numbers to compare."""
    known = defaultdict(list)
    for row in second:
        known[_setting(row)].append(row)
    pairs = []
    for row in first:
        found = known.get(_setting(row), [])
        for name in _CLOSER:
            closer = [other for other in found if getattr(other, name) == getattr(row, name)]
            found = closer or found
        if len(found) == 1 and not row.metric.endswith("_std"):
            pairs.append((row, found[0]))
    return pairs


def differing(pair: Pair) -> str:
    """What else than the systems differs between two rows, as `num_frames 4 and 8`; empty for
    nothing."""
    values = ((name, *(getattr(row, name) for row in pair)) for name in _TOLD)
    return ", ".join(f"{name} {one} and {other}" for name, one, other in values if one != other)


def newest_of_settings(rows: Iterable[ResultRow]) -> list[ResultRow]:
    """Rows without those that were scored in a setting before: what a name stood for may have been
    encoded or trained again."""
    newest: dict[tuple, ResultRow] = {}
    for row in rows:
        key = (*_setting(row), *(getattr(row, name) for name in _CLOSER))
        if key not in newest or _time(newest[key]) <= _time(row):
            newest[key] = row
    return list(newest.values())


def _time(row: ResultRow) -> str:
    return str(row.provenance.get("time", ""))


def _setting(row: ResultRow) -> tuple:
    values = tuple(getattr(row, name) for name in _SETTING)
    if row.classifier != _TEXT:
        # These were trained on so many videos, drawn so.
        return row.asked_protocol, row.shots, row.seed, *values
    is_by_names = row.asked_protocol in _BY_CLASS_NAMES
    return _CLASS_NAMES if is_by_names else row.asked_protocol, *values
