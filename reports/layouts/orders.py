"""Which method the paper has ahead of which, and the paired tests of that on data sets that stand
for the paper's: one order a cell of the paper, however many splits or draws it is a mean of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist

import numpy as np

from reports.layouts.cells import DIFFERENCE, dataset_heading, metric_heading
from reports.layouts.paper_tables import FUSION_METHOD_OF, fits, who_is
from reports.layouts.specs import FUSION_PROTOCOL, SPECS, Spec
from reports.measurements import Measurement, is_mean, method_of
from reports.paper.paper_numbers import ColumnKey, paper_numbers

# Two-sided, of one test.
CLEAR = 0.05
AGREES, OPPOSES, OPEN = "agrees", "opposes", "not clear"


@dataclass(frozen=True, kw_only=True)
class MethodOrder:
    """Two methods in one cell of the paper."""

    table: int
    """Number of the paper's table."""
    first: str
    other: str
    column: ColumnKey
    published: float
    """Points by which the paper has the first ahead; negative where it is behind."""
    tests: list[Measurement] = field(default_factory=list)
    """The difference here: on each split, or of each draw, that the cell is a mean of."""

    @property
    def label(self) -> str:
        """Who is compared with whom."""
        return f"{self.first} over {self.other}"

    @property
    def place(self) -> str:
        """Which cell it is, and what it is a mean of."""
        column = self.column
        part = column.subset or ("" if column.metric == "top1" else metric_heading(column.metric))
        words = [f"mini {dataset_heading(column.dataset)}", part]
        words += [f"K = {column.shots}"] if column.shots else []
        return ", ".join(filter(None, [*words, self._counted]))

    @property
    def _counted(self) -> str:
        count = int(self.tests[0].row.provenance.get("count", 1)) if self._is_mean else 1
        count = max(count, len(self.tests))
        word = "splits" if len({test.row.split for test in self.tests}) > 1 else "draws"
        return f"{count} {word}" if count > 1 else ""

    @property
    def _is_mean(self) -> bool:
        return is_mean(self.tests[0].row)

    @property
    def value(self) -> float:
        """Points by which the first is ahead here, a mean over splits or draws."""
        return float(np.mean([test.value for test in self.tests]))

    @property
    def interval(self) -> tuple[float, float] | None:
        """Means of the ends: at least as wide as the interval of the mean, as no deviation of a
        mean is larger than the mean of deviations. None where a test has no interval."""
        ends = [(test.low, test.high) for test in self.tests]
        known = [(low, high) for low, high in ends if low is not None and high is not None]
        if len(known) < len(ends):
            return None
        low, high = np.mean(known, axis=0).tolist()
        return low, high

    @property
    def p_value(self) -> float:
        """Two-sided: that of the one test, or of the mean of several by its interval, if it is a
        normal one; 1 where that is not known."""
        if len(self.tests) == 1:
            return float(self.tests[0].row.provenance.get("p_value", 1.0))
        if self.interval is None or self.interval[0] == self.interval[1]:
            return 1.0
        low, high = self.interval
        deviations = abs(self.value) / ((high - low) / (2 * NormalDist().inv_cdf(0.975)))
        return 2 * (1 - NormalDist().cdf(deviations))

    @property
    def verdict(self) -> str:
        """agrees, opposes, or not clear."""
        if not (self.p_value < CLEAR and self.published):
            return OPEN
        return AGREES if (self.value > 0) == (self.published > 0) else OPPOSES


def orders_of(mini: Sequence[Measurement]) -> list[MethodOrder]:
    """Orders that the paper has numbers for, by its tables, in the order of the results.

    `mini` are results on data sets that stand for the paper's.
    """
    found: dict[tuple, MethodOrder] = {}
    for spec in SPECS:
        for order, test in _compared(spec, mini):
            key = (order.table, order.first, order.other, order.column)
            found.setdefault(key, order).tests.append(test)
    return [_of_means(order) for order in found.values()]


def _of_means(order: MethodOrder) -> MethodOrder:
    """An order without what means are made of."""
    means = [test for test in order.tests if is_mean(test.row)]
    return replace(order, tests=means or order.tests)


def _compared(spec: Spec, mini: Sequence[Measurement]) -> Iterator[tuple[MethodOrder, Measurement]]:
    numbers = {(n.method, n.column): n.value for n in paper_numbers(spec.number)}
    columns = dict.fromkeys(column for _, column in numbers)
    for measurement in mini:
        who = who_is(spec, measurement)
        metric, _, against = measurement.row.metric.partition(DIFFERENCE)
        other = _method_against(spec, measurement, against)
        plain = replace(measurement, row=replace(measurement.row, metric=metric))
        if who is None or other not in spec.methods:
            continue
        pair = {"table": spec.number, "first": who.name, "other": other}
        for column in columns:
            first, second = (numbers.get((name, column)) for name in (who.name, other))
            if first is None or second is None or metric != column.metric:
                continue
            if fits(plain, column):
                yield MethodOrder(**pair, column=column, published=first - second), measurement


def _method_against(spec: Spec, measurement: Measurement, name: str) -> str:
    """The paper's method that a measurement is a difference from; in Table 5 it is what the other
    set was tuned and scored with, where that is not vanilla CLIP."""
    method = method_of([name])
    if spec.protocol != FUSION_PROTOCOL or method == "Vanilla CLIP":
        return method
    return FUSION_METHOD_OF.get(str(measurement.row.provenance.get("against_fusion")), "")
