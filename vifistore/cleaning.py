"""The cleaning of class names, for the words of a prompt. Imports nothing of ours but errors."""

import re
import unicodedata
from collections.abc import Callable, Iterable

from vifistore.errors import UnknownNameError, UsageError, short

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def _as_is(name: str) -> str:
    return name


def _spaces(name: str) -> str:
    return " ".join(name.replace("_", " ").split())


def in_words(name: str) -> str:
    """A name in words: underscores become spaces, CamelCase is split."""
    return _spaces(_CAMEL.sub(" ", name))


def class_key(name: str) -> str:
    """What the spellings of one class have in common: neither case, underscores, CamelCase nor
    Unicode's forms count."""
    return unicodedata.normalize("NFC", in_words(name)).casefold()


AS_IS = "as-is"
CLEANINGS: dict[str, Callable[[str], str]] = {AS_IS: _as_is, "spaces": _spaces, "words": in_words}
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
                f"classes {short(repr(origin[new]))} and {short(repr(name))} would both become "
                f"{short(repr(new))}; read their names as-is"
            )
    return result


def effective(names: Iterable[str], how: str) -> str:
    """The cleaning itself, or as-is where it changes none of these names."""
    return how if any(new != name for name, new in cleaned(names, how).items()) else AS_IS


def cleaning_field(names: Iterable[str], how: str) -> dict:
    """The field of a text set that says how its names are cleaned, where that changes any.

    Raises UsageError for names that become equal.
    """
    changed = effective(names, how)
    return {} if changed == AS_IS else {"cleaning": changed}
