"""JSON that others wrote: parsed whole, each field checked where it is taken."""

import json
from pathlib import Path

from vifistore.errors import UsageError
from vifistore.files import parse_json
from vifistore.videos.text_lines import read_text


def load_json(path: Path) -> tuple[object, str]:
    """The content of a JSON file and the SHA-256 of its bytes; of objects a line, their list.

    Raises UsageError.
    """
    text, digest = read_text(path)
    try:
        return parsed_json(text), digest
    except json.JSONDecodeError as error:
        raise UsageError(f"{path.name} line {error.lineno}: {error.msg}; mend the JSON") from error
    except ValueError as error:
        raise UsageError(f"{path.name} cannot be parsed ({error}); mend the JSON") from error


def parsed_json(text: str) -> object:
    """The content of a text that is JSON, or an object a line. Raises ValueError."""
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) > 1 and all(line.strip()[0] + line.strip()[-1] == "{}" for line in lines):
        return [parse_json(line) for line in lines]
    return parse_json(text)


def text_of(entry: object, key: str, where: str, *, default: str | None = None) -> str:
    """A field as text. Raises UsageError where it is neither text nor a number, or is missing."""
    value = entry.get(key, default) if isinstance(entry, dict) else None
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise UsageError(f"{where}: expected a text {key!r}; mend the entry")
