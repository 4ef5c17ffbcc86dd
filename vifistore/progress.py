"""How far a long piece of work is: a bar on a terminal, a line now and then in a log.

A batch system keeps what a program prints, and a bar there would be a line per step.
"""

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TextIO

from tqdm import tqdm

logger = logging.getLogger("vifi")

# The first line comes after so many seconds; then it takes a fifth longer each time, so that a run
# of days does not fill its log.
_FIRST_SECONDS = 30.0
_GROWTH = 1.2


class Progress(tqdm):
    """tqdm's bar; where standard error is no terminal, lines with the time that is left."""

    def __init__(
        self,
        iterable: Iterable | None = None,
        *,
        total: int,
        initial: int = 0,
        desc: str = "",
        unit: str = "it",
        file: TextIO | None = None,
    ) -> None:
        self._what = desc, unit
        told = {"desc": desc, "total": total, "initial": initial, "unit": unit}
        super().__init__(iterable, **told, file=file, disable=None)
        self.unpause()

    def __iter__(self) -> Iterator:
        """Go through what is counted."""
        for item in super().__iter__():
            yield item
            if self.disable:
                self.update()

    def unpause(self) -> None:
        """Count time from here on: what came before tells nothing of the work's speed."""
        super().unpause()
        self._begun, self._done_before = time.monotonic(), self.n
        self._next = _FIRST_SECONDS

    def update(self, n: float | None = 1) -> bool | None:
        """Count `n` more as done."""
        n = 0 if n is None else n
        if not self.disable:
            return super().update(n)
        self.n += n
        if (seconds := time.monotonic() - self._begun) >= self._next and self.n < self.total:
            self._next = max(seconds * _GROWTH, seconds + _FIRST_SECONDS)
            desc, unit = self._what
            logger.info("%s: %d of %d %ss, %s", desc, self.n, self.total, unit, self.left)
        return None

    @property
    def left(self) -> str:
        """How long the rest will take at the speed so far, in words."""
        done = self.n - self._done_before
        seconds = (time.monotonic() - self._begun) / done * (self.total - self.n) if done else 0
        return f"about {duration(seconds)} left" if done else "no time known yet"


def duration(seconds: float) -> str:
    """Seconds in words that suit their number."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes / 60:.1f} h"
