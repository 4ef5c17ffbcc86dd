"""Errors a user can meet. Each message is one line that ends with the remedy."""

import difflib
import shlex
from collections.abc import Iterable


def shell(*words: object) -> str:
    """Words of a command as one line for a shell, quoted: pasting a message must run no name."""
    return shlex.join(map(str, words))


class VifiError(Exception):
    """Base of every error that the command line prints as one line."""

    exit_code = 1


class UsageError(VifiError, ValueError):
    """The call itself is wrong: a bad value, an unknown name, input of the wrong kind."""

    exit_code = 2


class UnknownNameError(UsageError, KeyError):
    """A name that does not exist; the message gives the nearest one and what there is."""

    def __init__(self, kind: str, name: str, known: Iterable[str], remedy: str = "") -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        super().__init__(_unknown_name_message(kind, name, self.known, remedy))

    # KeyError prints the repr of its argument, which would put quotes round the message.
    __str__ = Exception.__str__


class StoreError(VifiError, OSError):
    """The store cannot be read or written as asked."""


class DamagedError(StoreError):
    """Stored bytes are missing, torn or altered."""


class IncompleteError(VifiError, RuntimeError):
    """A feature set is not sealed, or work that was planned did not end."""


class LockedError(StoreError):
    """Another process is writing the same thing."""


class ModelError(VifiError, RuntimeError):
    """Weights and model do not belong together, or cannot be had."""


class TextTowerError(ModelError):
    """A model's texts cannot be encoded here; its images can."""


class DecodeError(VifiError, RuntimeError):
    """One video cannot be decoded; `reason` is its quarantine class."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


def short(text: object, most: int = 60) -> str:
    """A name or a path that a message has room for: of a long one both ends."""
    text = str(text)
    half = (most - 3) // 2
    return text if len(text) <= most else f"{text[:half]}...{text[-half:]}"


def first_few(names: Iterable[str], most: int = 3, length: int = 60) -> str:
    """The first names of many, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(short(name, length) for name in names[:most]) + more


def _unknown_name_message(kind: str, name: str, known: list[str], remedy: str) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {short(close[0])!r}?" if close else ""
    exists = f" There are: {first_few(known, 8, 30)}." if known else " There are none yet."
    return f"unknown {kind} {short(name)!r}.{hint}{exists}{' ' + remedy if remedy else ''}"
