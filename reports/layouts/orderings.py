"""Where the miniature has the paper's orders: how many of each table, then every one of them."""

from collections import Counter
from collections.abc import Sequence

from reports.layouts.orders import AGREES, CLEAR, OPEN, OPPOSES, MethodOrder, orders_of
from reports.measurements import Measurement
from reports.table_model import Cell, Column, Row, Table

_VERDICTS = (AGREES, OPPOSES, OPEN)
# Points of the paper; a nearer pair may be the other way round in its next run.
_NEAR = 1.0
_ALL = "All tables"
_COUNTED = (
    "An order is which of two methods is ahead in one cell of the paper; here it is of the mean "
    "over its splits or draws, by a paired test on the clips that both were scored on, and clear "
    "at p < 0.05, each by itself: about {chance} would be if no method were better than another. "
    "Of those that oppose the paper's, {near} are of methods less than a point apart in the paper. "
    "The miniature shows how tables are made and tested; its orders are those of its own world."
)
_EACH = (
    "Points by which the first method is ahead of the second: in the paper, and here with a 95% "
    "interval of the paired bootstrap over clips. Where a cell is a mean over splits or draws, its "
    "ends are means of theirs, which is no narrower than the mean's own interval, and p is by that "
    "interval. In Table 5 each model is scored with the fusion it was tuned with."
)


def orderings_tables(mini: Sequence[Measurement]) -> list[Table]:
    """Counts of orders, and the orders; none without any.

    `mini` are results on data sets that stand for the paper's.
    """
    orders = orders_of(mini)
    return [_counts(orders), _each(orders)] if orders else []


def _counts(orders: Sequence[MethodOrder]) -> Table:
    """Rows: every table of the paper, then every pair of methods in each."""
    by_table = _grouped(orders, lambda order: f"Table {order.table}")
    rows = [_count(name, own, _ALL) for name, own in by_table.items()]
    for name, own in by_table.items():
        pairs = _grouped(own, lambda order: order.label)
        rows += [_count(label, of_pair, name) for label, of_pair in pairs.items()]
    opposing = [order for order in orders if order.verdict == OPPOSES]
    near = sum(abs(order.published) < _NEAR for order in opposing)
    told = Counter(order.verdict for order in orders)
    counted = ", ".join(f"{name}: {told[name]}" for name in _VERDICTS)
    chance = round(CLEAR * len(orders))
    return Table(
        name="mini-orders",
        title="How many of the paper's orders the miniature has",
        caption=f"Of {len(orders)} orders of the paper: {counted}. "
        + _COUNTED.format(chance=chance, near=near),
        corner="Ahead of",
        columns=tuple(Column(heading=name, decimals=0) for name in ("Orders", *_VERDICTS)),
        rows=tuple(rows),
    )


def _count(label: str, orders: Sequence[MethodOrder], section: str) -> Row:
    told = Counter(order.verdict for order in orders)
    counts = (len(orders), *(told[name] for name in _VERDICTS))
    return Row(label=label, section=section, cells=tuple(Cell(value=count) for count in counts))


def _grouped(orders: Sequence[MethodOrder], name_of) -> dict[str, list[MethodOrder]]:
    found: dict[str, list[MethodOrder]] = {}
    for order in orders:
        found.setdefault(name_of(order), []).append(order)
    return found


def _each(orders: Sequence[MethodOrder]) -> Table:
    return Table(
        name="mini-orderings",
        title="Orders: the paper's and the miniature's",
        caption=_EACH,
        corner="Ahead of",
        columns=tuple(map(_column, ("Paper", "Here", "p", "Verdict"))),
        rows=tuple(_row(order) for order in orders),
    )


def _column(heading: str) -> Column:
    is_chance = heading == "p"
    return Column(heading=heading, decimals=3 if is_chance else 1, is_chance=is_chance)


def _row(order: MethodOrder) -> Row:
    low, high = order.interval or (None, None)
    here = Cell(value=order.value, low=low, high=high)
    verdict = Cell(text=order.verdict)
    return Row(
        label=order.label,
        detail=order.place,
        section=f"Table {order.table}",
        cells=(Cell(value=order.published), here, Cell(value=order.p_value), verdict),
    )
