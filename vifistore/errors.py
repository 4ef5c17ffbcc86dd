"""Errors a user can meet. Each message is one line that ends with the remedy."""

import difflib
from collections.abc import Iterable, Sequence


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


class DecodeError(VifiError, RuntimeError):
    """One video cannot be decoded; `reason` is its quarantine class."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


def first_names(names: Sequence[str], shown: int = 8) -> str:
    """The first few of some names and how many more there are, for a line of a message."""
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _unknown_name_message(kind: str, name: str, known: list[str], remedy: str) -> str:
    shown = first_names(known)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    exists = f" There are: {shown}." if known else " There are none yet."
    return f"unknown {kind} {name!r}.{hint}{exists}{' ' + remedy if remedy else ''}"
