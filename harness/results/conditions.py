"""Which result rows are meant: `key=value` and the like, read without running anything.

    chosen = rows_where(rows, ["dataset=ucf101", "metric=top1|top5", "value>0.5", "name=full-*"])

A key is a field of a row, `name` (what its feature set was asked by; of a mean over runs what their
names share), or an entry of the provenance that is a text or a number (`command`, `model`, ...).
`*` in a value stands for anything, `|` between two for either; an empty value for what a row has
not. All conditions have to hold.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.results.result_row import FIELDS, ResultRow
from harness.results.row_names import row_name
from vifistore.errors import UnknownNameError, UsageError, short

_TERM = re.compile(r"\s*([A-Za-z_]\w*)\s*(!=|<=|>=|==|=|<|>)\s*(.*?)\s*", re.DOTALL)
_ORDERS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_EITHER = "|"
_HOW = "write key=value, key!=value, key<number, key<=number, key>number or key>=number"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One term."""

    key: str
    sign: str
    """=, !=, <, <=, > or >=."""
    value: str

    def holds(self, fields: Mapping[str, object]) -> bool:
        """Whether it holds of the fields of a row; an order holds of no text and no nothing."""
        found = fields.get(self.key)
        if self.sign in _ORDERS:
            is_number = isinstance(found, int | float)
            return is_number and _ORDERS[self.sign](float(found), float(self.value))
        values = {self.value, *self.value.split(_EITHER)}
        return any(_is(found, value) for value in values) == (self.sign == "=")


def parse_condition(term: str) -> Condition:
    """Read a term. Raises UsageError for one that is none."""
    parts = _TERM.fullmatch(term)
    if parts is None:
        raise UsageError(f"--where {short(repr(term))} is no condition; {_HOW}")
    key, sign, value = parts.groups()
    if sign in _ORDERS and _number(value) is None:
        raise UsageError(f"--where {short(repr(term))} compares with no number; {_HOW}")
    return Condition(key=key, sign="=" if sign == "==" else sign, value=value)


def rows_where(rows: Iterable[ResultRow], terms: Sequence[str]) -> list[ResultRow]:
    """The rows of which all terms hold. Raises UsageError for a term that is none, and
    UnknownNameError for a key that no row has."""
    conditions = [parse_condition(term) for term in terms]
    pairs = [(row, row_fields(row)) for row in rows]
    known = {"name", *FIELDS}.union(*(fields for _, fields in pairs))
    for condition in conditions:
        if condition.key not in known:
            raise UnknownNameError("key", condition.key, known)
    return [row for row, fields in pairs if all(one.holds(fields) for one in conditions)]


def row_fields(row: ResultRow) -> dict[str, object]:
    """What a row is asked by, each a text, a number or None; of several names of a feature set the
    texts joined by `+`."""
    known = {name: getattr(row, name) for name in FIELDS if name != "provenance"}
    known["feature_names"] = "+".join(row.feature_names)
    told = {key: value for key, value in row.provenance.items() if _is_plain(key, value)}
    return {"name": row_name(row), **told, **known}


def _is_plain(key: str, value: object) -> bool:
    return key.isidentifier() and isinstance(value, str | int | float)


def _is(found: object, value: str) -> bool:
    """Whether a field is what a value says."""
    if found is None or found == "":
        return value == ""
    wanted = _number(value)
    if wanted is not None and isinstance(found, int | float):
        return found == wanted
    pattern = ".*".join(map(re.escape, value.split("*")))
    return re.fullmatch(pattern, str(found), re.DOTALL) is not None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
