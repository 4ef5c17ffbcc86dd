"""Asking a server again where it fails for a moment.

What may pass by itself is asked for again after ever longer waits: servers that are busy or
restart, connections that are refused or cut. What will not is an error at once.
"""

import logging
import os
import random
import re
import time
from collections.abc import Callable
from typing import TypeVar

from vifistore.errors import first_line

logger = logging.getLogger("vifi")

TRIES = "VIFI_NETWORK_TRIES"
"""Environment variable: how often a request is tried."""
_DEFAULT_TRIES, _MOST_TRIES = 6, 100

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that another try may not get: too early, too many requests, and what servers say of
themselves while they restart."""

# Its own: a thread that waits must not move the numbers that others draw by a seed.
_JITTER = random.Random()
# After the first failure; each further wait is three times as long.
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.2, 20.0
# A try that brought so much was worth it: the next failure is a first one again.
_PROGRESS_BYTES = 2**20

_QUERY = re.compile(r"\?[^\s\"'<>)]*")
_USER = re.compile(r"//[^/\s@]*@")

Result = TypeVar("Result")


class NetworkError(OSError):
    """A server that does not give what it has, after all tries."""


class FalteringError(Exception):
    """A request that failed as another one may not."""

    def __init__(self, what: object, *, num_bytes: int = 0, wait_seconds: float = 0.0) -> None:
        """`num_bytes` came before it failed; the server asks to be left alone for a while."""
        super().__init__(without_secrets(what))
        self.num_bytes, self.wait_seconds = num_bytes, wait_seconds


def without_secrets(words: object) -> str:
    """The first line of a message; queries of addresses, which may be signatures, and users with
    their passwords are left out."""
    return first_line(_USER.sub("//", _QUERY.sub("?...", str(words))) or words)


def num_tries() -> int:
    """How often a request is tried, by `VIFI_NETWORK_TRIES`."""
    told = os.environ.get(TRIES, "")
    return min(int(told), _MOST_TRIES) if told.isdecimal() and int(told) else _DEFAULT_TRIES


def tried(ask: Callable[[], Result], *, for_seconds: float = 0.0, what: str = "") -> Result:
    """What asking gives, tried again where it falters, as often as is usual and at least that long.

    `what` is asked, where somebody waits for it who is to be told. Raises NetworkError once that
    was enough.
    """
    failures, started = 0, time.monotonic()
    while True:
        try:
            return ask()
        except FalteringError as error:
            failures = 1 if error.num_bytes >= _PROGRESS_BYTES else failures + 1
            if failures >= num_tries() and time.monotonic() - started >= for_seconds:
                told = f"{error}, after {failures} tries" if failures > 1 else str(error)
                raise NetworkError(told) from error
            if what and failures == 1:
                told = "%s does not answer (%s): asking again, %d times in all"
                logger.info(told, what, error, num_tries(), extra={"once": True})
            wait = min(_FIRST_WAIT_SECONDS * 3 ** (failures - 1), _LONGEST_WAIT_SECONDS)
            # Not all at once, after a failure that many met.
            wait *= _JITTER.uniform(0.75, 1.25)
            time.sleep(min(max(wait, error.wait_seconds), _LONGEST_WAIT_SECONDS))
