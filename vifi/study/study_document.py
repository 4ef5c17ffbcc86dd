"""The TOML document of a study: over that of its base, with its values in their places.

base = "demo.toml"          # a study beside it, which this one changes
[values]
epochs = 5                  # what `{epochs}` stands for in either
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from vifi.study.expanding import filled
from vifistore.errors import UsageError, short
from vifistore.files import read_regular

_BASE, _VALUES = "base", "values"
_MOST_BASES = 8


def read_document(path: Path) -> dict:
    """The document that a file and its bases make together.

    Raises UsageError for a file that is none, and for bases that come back to where they began.
    """
    document = _read(path)
    for _ in range(_MOST_BASES):
        if _BASE not in document:
            return _with_values(document)
        base = document.pop(_BASE)
        if not isinstance(base, str):
            raise UsageError(f"base is {short(repr(base), 60)}; give the path of a study")
        path = path.resolve().parent / base
        document = over(_read(path), document)
    raise UsageError(f"{short(path.name, 60)} has more than {_MOST_BASES} bases; do they go round?")


def over(base: Mapping, changes: Mapping) -> dict:
    """A document changed by another: tables entry by entry, all else as a whole."""
    changed = dict(base)
    for name, value in changes.items():
        old = base.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            value = over(old, value)
        changed[name] = value
    return changed


def _read(path: Path) -> dict:
    try:
        return tomllib.loads(read_regular(path).decode("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{short(path, 120)} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UsageError(f"{short(path, 120)} is no TOML: {short(error, 120)}") from error


def _with_values(document: dict) -> dict:
    values = document.pop(_VALUES, {})
    if not isinstance(values, dict) or any(isinstance(v, dict | list) for v in values.values()):
        raise UsageError("values is no table of texts and numbers; write [values] and epochs = 5")
    return {name: filled(part, values) for name, part in document.items()}
