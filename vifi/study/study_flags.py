"""Which flags a study may hold: what a command line can be given."""

import re
from collections.abc import Mapping

from vifistore.errors import UsageError, short

_NAME = re.compile(r"[A-Za-z0-9][\w-]*")
_PLAIN = (str, int, float)


def check_flags(where: str, flags: Mapping[str, object]) -> None:
    """Raise UsageError for what is no name of a flag, and for a value that is none."""
    for name, value in flags.items():
        if not _NAME.fullmatch(name):
            told = "write it without dashes before it, as epochs"
            raise UsageError(f"{where}: {short(repr(name), 60)} is no name of a flag; {told}")
        entries = value if isinstance(value, list) else [value]
        # Of a list true and false would be words.
        is_plain = all(isinstance(entry, _PLAIN) for entry in entries)
        if not is_plain or (isinstance(value, list) and any(map(_is_bool, entries))):
            told = "give a text, a number, true or false, or a list of texts and numbers"
            raise UsageError(f"{where}: {name} is {short(repr(value), 60)}; {told}")


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)
