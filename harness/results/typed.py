"""Dataclasses from plain JSON values, checked by the types of their fields, and back."""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import get_args

import numpy as np

from vifistore.errors import first_few, short

# Keys that no field is named by, where a class keeps them.
FURTHER = "further"
_WORDS = {
    str: "a text",
    str | None: "a text or null",
    int: "a whole number",
    int | None: "a whole number or null",
    float: "a number",
    float | None: "a number or null",
    bool | None: "true, false or null",
    tuple[str, ...]: "a list of texts",
    dict: "an object",
}


def read_fields(kind: type, value: object) -> tuple[dict, dict]:
    """The fields of a dataclass from a JSON object, and what the object holds beside them.

    Raises ValueError that says what is missing or does not fit.
    """
    if not isinstance(value, Mapping):
        raise ValueError("no object")
    types, needed = _fields(kind)
    further = {name: item for name, item in value.items() if name not in types}
    if missing := [name for name in needed if name not in value]:
        unknown = f"; unknown {first_few(sorted(further), 3, 30)}" if further else ""
        raise ValueError(f"missing {first_few(missing, 3, 30)}{unknown}")
    given = [name for name in types if name in value]
    return {name: _read(name, value[name], types[name]) for name in given}, further


def check_type(name: str, value: object, kind: object) -> None:
    """Raise ValueError unless the field `name` may hold `value`; `kind` is one of those above."""
    if kind == tuple[str, ...]:
        fits = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    else:
        accepted = kind | int if kind in (float, float | None) else kind
        # To Python true and false are whole numbers.
        is_stray = isinstance(value, bool) and kind != bool | None
        fits = isinstance(value, accepted) and not is_stray
    if not fits:
        raise ValueError(f"{name} {short(repr(value))} is not {_WORDS[kind]}")


def plain(value: object) -> object:
    """A value as JSON has it: a dataclass is an object, not-a-number and infinity are None."""
    if dataclasses.is_dataclass(value):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        further = fields.pop(FURTHER, {})
        value = fields | further
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@functools.cache
def _fields(kind: type) -> tuple[dict[str, object], list[str]]:
    """Names of the fields of a dataclass with their types, and those that have no default."""
    known = [f for f in dataclasses.fields(kind) if f.name != FURTHER]
    needed = [f.name for f in known if f.default is f.default_factory is dataclasses.MISSING]
    return {f.name: f.type for f in known}, needed


def _read(name: str, value: object, kind: object) -> object:
    if kind in _WORDS:
        check_type(name, value, kind)
        return tuple(value) if isinstance(value, list) else value
    # A tuple of objects of one class.
    if not isinstance(value, list):
        raise ValueError(f"{name} is no list")
    return tuple(map(get_args(kind)[0].from_dict, value))
