"""Writes that take place only if the object is still what was seen of it.

An object store orders all writes of one object: of two that have seen the same state of it, one
takes place and the other is refused. Claims and the blocks that they guard are written so. S3 tells
states apart by their bytes: one that comes back, byte for byte, passes for the same.
"""

import contextlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from vifistore.errors import StoreError
from vifistore.temporaries import SUFFIX


class ChangedError(Exception):
    """An object is not what was seen of it any more: the write did not take place."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One state of an object."""

    e_tag: str | None
    generation: str | None
    """What tells it from the object's other states: the one or the other, as the store has it."""
    changed_at: float
    """Seconds since 1970 by the store's clock, of which it may leave fractions out."""


class Conditional(Protocol):
    """Where such writes are possible."""

    def fetch(self, key: str) -> tuple[bytes, Seen] | None:
        """An object, and what was seen of it; None if there is none."""
        ...

    def look(self, key: str) -> Seen | None:
        """As `fetch`, without the bytes."""
        ...

    def swap(self, key: str, data: bytes, seen: Seen | None) -> None:
        """Write an object that is still as it was seen; None is for one that is not there.

        Raises ChangedError for one that is not, and may do so where the write took place but its
        answer was lost: who needs to know looks whether the object is what was to be written.
        """
        ...

    def remove(self, key: str) -> None:
        """Remove an object, if it is there."""
        ...


class StoreClock:
    """The time of a store: that of one machine may be wrong, and they have to agree on expiries.

    It is never ahead of the store's: what has expired by it has expired.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._behind: float | None = None

    @property
    def is_set(self) -> bool:
        """Whether the time is known."""
        return self._behind is not None

    def set_by(self, seen: Seen) -> None:
        """Take the time from an object that this process has just written."""
        self._behind = seen.changed_at - self._monotonic()

    def ask(self, place: Conditional, folder: str) -> None:
        """Take the time from an object that is written in a folder of the store for that alone."""
        key = f"{folder}/{passing_key('clock')}".lstrip("/")
        with contextlib.suppress(ChangedError):
            place.swap(key, b"", None)
        seen = place.look(key)
        assert seen is not None, "it was just written"
        self.set_by(seen)
        place.remove(key)

    def now(self) -> float:
        """Seconds since 1970; once it is set."""
        assert self._behind is not None, "no object was seen yet"
        return self._monotonic() + self._behind


def passing_key(name: str) -> str:
    """Key of an object that is removed at once: called as what a stopped run has left is, in case
    that this one stops here."""
    return f"{name}.{uuid.uuid4().hex}{SUFFIX}"


def require_conditions(place: Conditional, location: str) -> None:
    """Raise StoreError for a store that writes whatever was seen, as some that speak S3's protocol
    do: claims would mean nothing there. `location` is what messages call it."""
    key = passing_key("conditions")
    try:
        # Nobody else writes there: refused, it was written, and its answer was lost.
        with contextlib.suppress(ChangedError):
            place.swap(key, b"1", None)
        seen = place.look(key)
        with contextlib.suppress(ChangedError):
            place.swap(key, b"2", seen)
        for late in (None, seen):
            with contextlib.suppress(ChangedError):
                place.swap(key, b"3", late)
                raise StoreError(
                    f"{location} writes without asking what is there, so that two machines could "
                    "write the same; use a store with conditional writes (If-None-Match, If-Match)"
                )
    finally:
        place.remove(key)
