"""Errors a user can meet. Each message is one line that ends with the remedy.

What is wrong with a call is gathered, and told together:

    found = Faults()
    found.check(frames >= 1, f"--frames is {frames}; give 1 or more")
    found.attempt(store.split, dataset, split)
    found.refuse()
"""

import contextlib
import difflib
import shlex
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar

from vifistore.natural_order import natural_order

# A line that is read, with the words around it.
_LONGEST = 380
# Of more names, as of the videos of a large store, none is compared with the one that is unknown:
# that would take minutes, and an order other than that of text gigabytes.
_MOST_COMPARED = 100_000

_open: ContextVar["Faults | None"] = ContextVar("open faults", default=None)


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
        names = list(known)
        order = natural_order if len(names) <= _MOST_COMPARED else None
        self.kind, self.name, self.known = kind, name, sorted(names, key=order)
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


def first_line(error: object, most: int = 120) -> str:
    """The first line of what an error says that is not ours, or its type where it says nothing."""
    return short((str(error).strip() or type(error).__name__).splitlines()[0], most)


def first_few(names: Iterable[str], most: int = 3, length: int = 60, between: str = ", ") -> str:
    """The first names of many, each as `short` cuts it, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return between.join(short(name, length) for name in names[:most]) + more


def _unknown_name_message(kind: str, name: str, known: list[str], remedy: str) -> str:
    close = difflib.get_close_matches(name, known, n=1) if len(known) <= _MOST_COMPARED else []
    hint = f" Did you mean {short(close[0])!r}?" if close else ""
    exists = f" There are: {first_few(known, 8, 30)}." if known else " There are none yet."
    return f"unknown {kind} {short(name)!r}.{hint}{exists}{' ' + remedy if remedy else ''}"


class Faults:
    """What is wrong with a call, each thing once."""

    def __init__(self) -> None:
        self._errors: dict[str, VifiError] = {}

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._errors)

    def check(self, holds: bool, what: str) -> None:
        """Note what is wrong, with its remedy, unless something holds."""
        if not holds:
            self.add(UsageError(what))

    def add(self, error: VifiError) -> None:
        """Note what an error says."""
        self._errors.setdefault(str(error), error)

    def attempt(self, function: Callable, *arguments: object, **options: object) -> None:
        """Call a function, and note the UsageError that it raises."""
        try:
            function(*arguments, **options)
        except UsageError as error:
            self.add(error)

    def refuse(self) -> None:
        """Raise a UsageError that tells all, or the only one there is; nothing if there is none.

        Within `gathered` they are handed over instead, to be told with others.
        """
        gathering = _open.get()
        if gathering is not None:
            gathering._errors |= {
                k: e for k, e in self._errors.items() if k not in gathering._errors
            }
        elif len(self._errors) == 1:
            raise next(iter(self._errors.values()))
        elif self._errors:
            raise UsageError(_together(list(self._errors)))

    @contextlib.contextmanager
    def gathered(self) -> Iterator[None]:
        """Take the faults of everything that refuses some within."""
        token = _open.set(self)
        try:
            yield
        finally:
            _open.reset(token)


def _together(faults: list[str]) -> str:
    """All faults, numbered, as far as a line holds them; the first in any case."""
    told = f"{len(faults)} things are wrong:"
    for number, fault in enumerate(faults, 1):
        left = len(faults) - number
        more = f" (and {left} more)" if left else ""
        entry = f" ({number}) {fault.rstrip('.')}."
        if len(told) + len(entry) + len(more) > _LONGEST and number > 1:
            return f"{told} (and {left + 1} more)"
        told += entry
    return told
