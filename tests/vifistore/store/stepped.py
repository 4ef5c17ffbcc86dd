"""Functions that run in threads of their own, one call of the store at a time, as they are told."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class Killed(BaseException):
    """What a killed writer dies of: nothing that it would still do is done."""


class Stepped:
    """A function that stops before every call of the store, until `step`."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._is_killed, self._thread = False, 0
        self._pool = ThreadPoolExecutor(1)
        self._future = self._pool.submit(self._run, function)
        self._future.add_done_callback(lambda _: self._back.release())
        # It stands before its first call now.
        self._back.acquire()

    def _run(self, function: Callable[[], None]) -> None:
        self._thread = threading.get_ident()
        self.before()
        function()

    def before(self) -> None:
        """Called by the store, in any thread."""
        if threading.get_ident() == self._thread:
            if not self._is_killed:
                self._back.release()
                self._go.acquire()
            if self._is_killed:
                raise Killed

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._future.done()

    def step(self) -> None:
        """Go on to the next call of the store, or to the end; raises what ends it."""
        if not self.is_over:
            self._go.release()
            self._back.acquire()
        if self.is_over:
            self._future.result()

    def kill(self) -> None:
        """End it where it stands."""
        self._is_killed = True
        self._go.release()
        self._pool.shutdown()
