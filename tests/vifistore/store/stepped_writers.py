"""Writers of one set on several machines, killed and left to sleep in any order."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.vifistore.store.stepped import Stepped

WRITERS, LEASE = 3, 60


class SteppedWriters(RuleBasedStateMachine):
    """What befalls them, whatever they do: `_work`, given which of those that began each is."""

    place: Any
    """Their store, in memory, with a clock of its own."""
    _work: Callable[[int], None]
    _finish: Callable[[], None]

    def begin(self) -> None:
        """Start them at their store."""
        self.place.before = lambda: [writer.before() for writer in self.writers]
        self.writers: list[Stepped] = []
        self.num_started = 0
        for _ in range(WRITERS):
            self.writers.append(self.started())

    def started(self) -> Stepped:
        """One more, which stands before its first call."""
        self.num_started += 1
        number = self.num_started
        return Stepped(lambda: self._work(number))

    @rule(which=st.integers(0, WRITERS - 1))
    def die(self, which):
        self.writers[which].kill()
        self.writers[which] = self.started()

    @rule(seconds=st.sampled_from([1, LEASE + 2]))
    def wait(self, seconds):
        self.place.seconds += seconds

    def teardown(self):
        try:
            self._finish()
        finally:
            for writer in self.writers:
                writer.kill()
