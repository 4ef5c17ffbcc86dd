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
    document: dict = {}
    for one in files_of(path):
        document = over(_read(one), document)
    document.pop(_BASE, None)
    return _with_values(document)


def files_of(path: Path) -> list[Path]:
    """A file, its base, the base of that, and so on; raises UsageError as `read_document`."""
    files = [path]
    while (base := _read(files[-1]).get(_BASE)) is not None:
        if not isinstance(base, str):
            raise UsageError(f"base is {short(repr(base), 60)}; give the path of a study")
        if len(files) > _MOST_BASES:
            told = f"more than {_MOST_BASES} bases; do they go round?"
            raise UsageError(f"{short(path.name, 60)} has {told}")
        files.append(files[-1].resolve().parent / base)
    return files


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
