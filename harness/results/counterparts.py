"""Rows of two systems, or of two results folders, that are of one setting.

for first, second in counterparts(rows_of_one, rows_of_other): ...
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from harness.results.result_row import ResultRow

# Rows that are compared agree in these, beside the protocol that was asked for ...
_SETTING = (
    *("dataset", "split", "subset", "classifier", "fusion", "shots", "seed", "ranking", "lever"),
    *("metric", "train_split"),
)
# ... and in these where several do.
_CLOSER = ("num_frames", "num_views", "template", "trained_fusion")

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
        if len(found) > 1:
            found = [other for other in found if _values(other, _CLOSER) == _values(row, _CLOSER)]
        if len(found) == 1 and not row.metric.endswith("_std"):
            pairs.append((row, found[0]))
    return pairs


def _setting(row: ResultRow) -> tuple:
    return row.asked_protocol, *_values(row, _SETTING)


def _values(row: ResultRow, names: Iterable[str]) -> tuple:
    return tuple(getattr(row, name) for name in names)
