"""Files that give the classes their names, and the cleaning of the names."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from vifistore.errors import UnknownNameError, UsageError
from vifistore.videos.text import numbered_lines, read_text, some

_NUMBERED = re.compile(r"(\d{1,9})\s+(\S.*)")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


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
                f"{where}: label {id} is not in {self.source} ({self.first_id} to {last}); "
                "give the class file of this list with --labels"
            )
        return self.names[id - self.first_id]


def _as_is(name: str) -> str:
    return name


def _spaces(name: str) -> str:
    return " ".join(name.replace("_", " ").split())


def _words(name: str) -> str:
    return _spaces(_CAMEL.sub(" ", name))


CLEANINGS: dict[str, Callable[[str], str]] = {"as-is": _as_is, "spaces": _spaces, "words": _words}
"""as-is: untouched; spaces: underscores become spaces; words: CamelCase is split as well."""


def cleaning(name: str) -> Callable[[str], str]:
    """The cleaning of that name. Raises UnknownNameError."""
    if name not in CLEANINGS:
        raise UnknownNameError("cleaning of class names", name, CLEANINGS)
    return CLEANINGS[name]


def cleaned(names: Iterable[str], how: str) -> dict[str, str]:
    """Each class name and what it becomes. Raises UsageError where two become one."""
    clean = cleaning(how)
    result = {name: clean(name) for name in names}
    origin: dict[str, str] = {}
    for name, new in result.items():
        if origin.setdefault(new, name) != name:
            raise UsageError(
                f"classes {origin[new]!r} and {name!r} would both become {new!r}; "
                "read their names as-is"
            )
    return result


def plain(name: str) -> str:
    """What two spellings of one class have in common: neither case nor underscores count."""
    return name.replace("_", " ").casefold()


def spelled(labels: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """Each label as `names` spell it, "" where none is the same class."""
    exact = set(names)
    known = {plain(name): name for name in names}
    return {label: label if label in exact else known.get(plain(label), "") for label in labels}


def read_class_file(path: Path, *, may_be_cut: bool = False) -> ClassFile:
    """Class names from a CSV `id,name`, lines `id name`, one name per line, or JSON.

    JSON is an object of name to id (as Something-Something V2 ships it) or a list of names.
    `may_be_cut` says that ids do not count, since the lists name their classes as well: a file may
    lack some. Raises UsageError where ids have gaps or a name comes twice.
    """
    text, _ = read_text(path)
    lines = numbered_lines(text)
    if path.suffix.lower() == ".json":
        pairs = _json_pairs(text, path.name)
    elif lines and is_class_header(lines[0][1]):
        pairs = _csv_pairs(text, path.name)
    else:
        pairs = _line_pairs([line for _, line in lines])
    if may_be_cut:
        pairs = [(id, name) for id, (_, name) in enumerate(sorted(pairs), 1)]
    return _class_file(pairs, path.name)


def is_class_header(line: str) -> bool:
    """True for the first line of a class CSV."""
    return [field.strip().lower() for field in line.split(",")] == ["id", "name"]


def _csv_pairs(text: str, source: str) -> list[tuple[int, str]]:
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
    pairs = []
    try:
        for fields in list(reader)[1:]:
            if any(field.strip() for field in fields):
                id, name = fields
                pairs.append((int(id), name.strip()))
    except (ValueError, csv.Error) as error:
        raise UsageError(
            f"{source} line {len(pairs) + 2}: expected `id,name` with a whole number as id; "
            "quote a name that holds a comma"
        ) from error
    return pairs


def _json_pairs(text: str, source: str) -> list[tuple[int, str]]:
    try:
        content = json.loads(text)
        if isinstance(content, dict):
            return [(int(id), name) for name, id in content.items()]
        if isinstance(content, list) and all(isinstance(name, str) for name in content):
            return list(enumerate(content))
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise UsageError(f"{source} gives no class names; write an object of name to id") from error
    raise UsageError(f"{source} gives no class names; write an object of name to id")


def _line_pairs(lines: list[str]) -> list[tuple[int, str]]:
    numbered = [_NUMBERED.fullmatch(line) for line in lines]
    if all(numbered):
        return [(int(match.group(1)), match.group(2)) for match in numbered]
    return list(enumerate(_without_brackets(lines)))


def _without_brackets(names: list[str]) -> list[str]:
    """Something-Something V2's templates as its class names, others untouched.

    Its category.txt sorts the templates with their brackets ("Pushing [something] ..."), but the
    ids of its lists count the names sorted without them.
    """
    if not any("[something]" in name for name in names):
        return names
    return sorted(template_name(name) for name in names)


def template_name(template: str) -> str:
    """The class name of a Something-Something V2 template: the brackets are dropped."""
    return template.replace("[", "").replace("]", "")


def _class_file(pairs: list[tuple[int, str]], source: str) -> ClassFile:
    if not pairs:
        raise UsageError(f"{source} names no class; write one `id,name` line for each")
    pairs = sorted(pairs)
    first = pairs[0][0]
    ids, names = [id for id, _ in pairs], [name for _, name in pairs]
    if ids != list(range(first, first + len(ids))) or first not in (0, 1):
        raise UsageError(f"{source}: ids must run from 0 (or 1) without gaps; number them again")
    repeated = [
        name
        for before, name in zip(sorted(names), sorted(names)[1:], strict=False)
        if before == name
    ]
    if repeated or "" in names:
        told = f"named twice: {some(repeated)}" if repeated else "an id without a name"
        raise UsageError(f"{source}: {told}; give every class its own name")
    return ClassFile(names=names, first_id=first, source=source)
