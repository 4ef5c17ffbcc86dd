"""Objects of JSON artefacts: dataclasses whose fields are checked when they are read."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self, TypeVar, get_args

from harness.results.typed import check_type
from harness.results.whole_files import (
    FOLDER,
    damaged,
    locked_folder,
    read_document,
    write_document,
)
from vifistore.errors import first_few

Kind = TypeVar("Kind", bound="JsonObject")


@dataclass(frozen=True, kw_only=True)
class JsonObject:
    """One object: fields of a known type, and further ones, which are kept."""

    further: Mapping[str, object] = field(default_factory=dict)
    """What there is beside the fields."""

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """From plain JSON values; raises ValueError that says what is missing or does not fit."""
        if not isinstance(value, Mapping):
            raise ValueError("an entry is no object")
        known = {f.name: f for f in dataclasses.fields(cls) if f.name != "further"}
        if missing := [name for name, f in known.items() if name not in value and _is_needed(f)]:
            raise ValueError(f"an entry has no {first_few(missing, 3, 30)}")
        given = [f for name, f in known.items() if name in value]
        found = {f.name: _read(f.name, value[f.name], f.type) for f in given}
        further = {name: item for name, item in value.items() if name not in known}
        return cls(**found, further=further)

    def as_dict(self) -> dict:
        """As plain JSON values: the fields, then what there is beside them."""
        names = (f.name for f in dataclasses.fields(self) if f.name != "further")
        return {**{name: _plain(getattr(self, name)) for name in names}, **self.further}


@dataclass(frozen=True, kw_only=True)
class JsonDocument(JsonObject):
    """The one object of a file."""

    FILE: ClassVar[str]

    @classmethod
    def read(cls, results: Path) -> Self:
        """Of a results folder; an empty one where there is none. Raises DamagedError."""
        path = results / FOLDER / cls.FILE
        (found,) = read_objects(cls, path, [read_document(path, dict)])
        return found

    def write(self, results: Path) -> None:
        """Into a results folder, in place of the one that is there."""
        write_document(results / FOLDER / self.FILE, self.as_dict())


@dataclass(frozen=True, kw_only=True)
class JsonEntry(JsonObject):
    """One of the list of objects that a file holds."""

    FILE: ClassVar[str]
    KEY: ClassVar[tuple[str, ...]]
    """Fields in which no two entries are equal; only of those that are added one by one."""

    @property
    def key(self) -> tuple:
        """Values of the fields `KEY`."""
        return tuple(getattr(self, name) for name in self.KEY)

    @classmethod
    def read_all(cls, results: Path) -> tuple[Self, ...]:
        """All of a results folder. Raises DamagedError for a file that holds others."""
        return cls.read_list(results / FOLDER / cls.FILE)

    @classmethod
    def write_all(cls, results: Path, entries: Iterable[Self]) -> None:
        """Into a results folder, in place of those that are there."""
        cls.write_list(results / FOLDER / cls.FILE, entries)

    @classmethod
    def add(cls, results: Path, entries: Iterable[Self]) -> None:
        """Add entries, each in place of that with its key; several processes may do so at once.

        Raises DamagedError as `read_all` does.
        """
        with locked_folder(results / FOLDER):
            merged = {entry.key: entry for entry in (*cls.read_all(results), *entries)}
            cls.write_all(results, merged.values())

    @classmethod
    def read_list(cls, path: Path) -> tuple[Self, ...]:
        """Those of one file, none where there is no file. Raises DamagedError."""
        return read_objects(cls, path, read_document(path, list))

    @classmethod
    def write_list(cls, path: Path, entries: Iterable[Self]) -> None:
        """Write one file."""
        write_document(path, [entry.as_dict() for entry in entries])


def read_objects(kind: type[Kind], path: Path, values: Iterable[object]) -> tuple[Kind, ...]:
    """Objects from the plain values that a file holds. Raises DamagedError that names the file."""
    try:
        return tuple(map(kind.from_dict, values))
    except ValueError as error:
        raise damaged(path, f"is not as it should be: {error}") from error


def _is_needed(known: dataclasses.Field) -> bool:
    return known.default is dataclasses.MISSING and known.default_factory is dataclasses.MISSING


def _read(name: str, value: object, kind: type) -> object:
    entry, *_ = *get_args(kind), None
    if isinstance(entry, type) and issubclass(entry, JsonObject):
        if not isinstance(value, list):
            raise ValueError(f"{name} is no list")
        return tuple(map(entry.from_dict, value))
    check_type(name, value, kind)
    return tuple(value) if isinstance(value, list) else value


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [item.as_dict() if isinstance(item, JsonObject) else item for item in value]
    return value
