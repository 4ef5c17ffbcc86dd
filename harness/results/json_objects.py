"""JSON files of a results folder: dataclasses whose fields are checked when they are read."""

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self, get_args

import numpy as np

from harness.results.whole_files import FOLDER, changing, damaged, read_document, write_json
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


@dataclass(frozen=True, kw_only=True)
class JsonObject:
    """One object: fields of a known type, and further ones, which are kept."""

    further: Mapping[str, object] = field(default_factory=dict)
    """What there is beside the fields."""

    FILE: ClassVar[str]
    KEY: ClassVar[tuple[str, ...]]

    def __init_subclass__(cls, *, file: str = "", key: tuple[str, ...] = ()) -> None:
        """`file` is the name of that which holds such objects; no two of them have equal `key`
        fields, where they are added one by one."""
        cls.FILE, cls.KEY = file, key

    @classmethod
    def file_in(cls, results: Path) -> Path:
        """The file of a results folder that holds such objects."""
        return results / FOLDER / cls.FILE

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """From plain JSON values; raises ValueError that says what is missing or does not fit."""
        fields, further = read_fields(cls, value)
        return cls(**fields, further=further)

    @classmethod
    def from_values(cls, path: Path, values: Iterable[object]) -> tuple[Self, ...]:
        """Those that a file holds as plain values. Raises DamagedError that names the file."""
        try:
            return tuple(map(cls.from_dict, values))
        except ValueError as error:
            raise damaged(path, f"is not as it should be: {error}") from error

    def as_dict(self) -> dict:
        """As plain JSON values: the fields, then what there is beside them."""
        return plain(self)


class JsonDocument(JsonObject):
    """The one object of a file."""

    @classmethod
    def read(cls, results: Path) -> Self:
        """The object of a results folder; an empty one where there is none. Raises DamagedError."""
        path = cls.file_in(results)
        (document,) = cls.from_values(path, [read_document(path, dict)])
        return document

    def write(self, results: Path) -> None:
        """Write it into a results folder, in place of an earlier one."""
        write_json(self.file_in(results), plain(self))


class JsonEntry(JsonObject):
    """One of the list of objects that a file holds."""

    @property
    def key(self) -> tuple:
        """Values of the fields that no two entries share."""
        return tuple(getattr(self, name) for name in self.KEY)

    @classmethod
    def read_list(cls, path: Path) -> tuple[Self, ...]:
        """The entries of one file, none where there is no file. Raises DamagedError."""
        return cls.from_values(path, read_document(path, list))

    @classmethod
    def read_all(cls, results: Path) -> tuple[Self, ...]:
        """All entries of a results folder. Raises DamagedError for a file that holds others."""
        return cls.read_list(cls.file_in(results))

    @classmethod
    def write_all(cls, results: Path, entries: Iterable[Self]) -> None:
        """Write entries into a results folder, in place of earlier ones."""
        write_json(cls.file_in(results), plain(list(entries)))

    @classmethod
    def add(cls, results: Path, entries: Iterable[Self]) -> None:
        """Add entries, each in place of that with its key; several processes may do so at once.

        Raises DamagedError as `read_all` does.
        """
        with changing(results / FOLDER):
            merged = {entry.key: entry for entry in (*cls.read_all(results), *entries)}
            cls.write_all(results, merged.values())


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


def check_type(name: str, value: object, kind: Any) -> None:
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


def plain(value: object) -> Any:
    """A value as JSON has it: a dataclass is an object, not-a-number and infinity are None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
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
