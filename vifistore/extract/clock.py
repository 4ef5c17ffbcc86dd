"""Where the time of a run goes."""

import contextlib
import time
from collections.abc import Iterator

STAGES = ("decode", "preprocess", "encode", "write")


class Clock:
    """Seconds that one thread spends in each stage, doing it or waiting for it.

    Stages do not overlap here, so with `idle`, which is all the rest, their shares add up to one.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget everything so far."""
        self._start = time.perf_counter()
        self._seconds: dict[str, float] = dict.fromkeys(STAGES, 0.0)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what is inside as time of a stage; stages are not nested."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] += time.perf_counter() - start

    @property
    def seconds(self) -> float:
        """Seconds since the clock was made."""
        return time.perf_counter() - self._start

    def shares(self) -> dict[str, float]:
        """Share of each stage in all the time so far, and `idle`."""
        total = max(self.seconds, 1e-9)
        shares = {name: seconds / total for name, seconds in self._seconds.items()}
        return shares | {"idle": max(1.0 - sum(shares.values()), 0.0)}
