"""Steps of a run: said when they begin, timed when they end."""

import contextlib
import time
from collections.abc import Iterator

from harness.results.json_artefacts import Timing
from vifi.command_line.console import say


class Steps:
    """Says what is done and remembers how long each step took."""

    def __init__(self) -> None:
        self.timings: list[Timing] = []

    @contextlib.contextmanager
    def step(self, what: str, *, videos: int = 0) -> Iterator[None]:
        """Say `what`, run the body, say its seconds; `videos` are how many it went through."""
        say(f"{len(self.timings) + 1}. {what} ...")
        start = time.perf_counter()
        yield
        seconds = round(time.perf_counter() - start, 1)
        count = {"videos": videos} if videos else {}
        self.timings.append(Timing(step=what, seconds=seconds, further=count))
        say(f"   {seconds:.1f} s")

    @property
    def total_seconds(self) -> float:
        """Seconds of all steps."""
        return sum(timing.seconds for timing in self.timings)
