"""The names of classes: in the order of their ids, and their spellings."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from vifistore.errors import UsageError, short


@dataclass(frozen=True, kw_only=True)
class ClassFile:
    """Class names in the order of their ids."""

    names: list[str]
    first_id: int
    """Id of the first name: 0, or 1 in UCF101's classInd.txt."""
    source: str
    """Name of the file."""
    given: bool = False
    """True where the caller named it, so that it must know every label."""

    def name(self, id: int, where: str) -> str:
        """The name of an id. Raises UsageError where the file has no such id."""
        if not self.first_id <= id < self.first_id + len(self.names):
            last = self.first_id + len(self.names) - 1
            raise UsageError(
                f"{where}: label {id} is not in {self.source} ({self.first_id} "
                f"{short(self.names[0], 40)!r} to {last} {short(self.names[-1], 40)!r}); give the "
                "class file of this list with --labels, numbered from 1 if the list counts from 1"
            )
        return self.names[id - self.first_id]


def plain(name: str) -> str:
    """What two spellings of one class, or of one path, have in common.

    Neither case nor underscores for blanks count, nor whether an accent is a letter's own or
    follows it.
    """
    return unicodedata.normalize("NFC", name).replace("_", " ").casefold()


def spelled(labels: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """Each label as `names` spell it, "" where none is the same class."""
    exact = set(names)
    known = {plain(name): name for name in names}
    return {label: label if label in exact else known.get(plain(label), "") for label in labels}
