"""JSON files of a results folder: dataclasses whose fields are checked when they are read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from harness.results.typed import plain, read_fields
from harness.results.whole_files import FOLDER, changing, damaged, read_document, write_document


@dataclass(frozen=True, kw_only=True)
class JsonObject:
    """One object: fields of a known type, and further ones, which are kept."""

    further: Mapping[str, object] = field(default_factory=dict)
    """What there is beside the fields."""

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
        """Of a results folder; an empty one where there is none. Raises DamagedError."""
        path = cls.file_in(results)
        (found,) = cls.from_values(path, [read_document(path, dict)])
        return found

    def write(self, results: Path) -> None:
        """Into a results folder, in place of the one that is there."""
        write_document(self.file_in(results), self)


class JsonEntry(JsonObject):
    """One of the list of objects that a file holds."""

    @property
    def key(self) -> tuple:
        """Values of the fields that no two entries share."""
        return tuple(getattr(self, name) for name in self.KEY)

    @classmethod
    def read_list(cls, path: Path) -> tuple[Self, ...]:
        """Those of one file, none where there is no file. Raises DamagedError."""
        return cls.from_values(path, read_document(path, list))

    @classmethod
    def read_all(cls, results: Path) -> tuple[Self, ...]:
        """All of a results folder. Raises DamagedError for a file that holds others."""
        return cls.read_list(cls.file_in(results))

    @classmethod
    def write_all(cls, results: Path, entries: Iterable[Self]) -> None:
        """Into a results folder, in place of those that are there."""
        write_document(cls.file_in(results), list(entries))

    @classmethod
    def add(cls, results: Path, entries: Iterable[Self]) -> None:
        """Add entries, each in place of that with its key; several processes may do so at once.

        Raises DamagedError as `read_all` does.
        """
        with changing(results / FOLDER):
            merged = {entry.key: entry for entry in (*cls.read_all(results), *entries)}
            cls.write_all(results, merged.values())
