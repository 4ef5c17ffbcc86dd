"""Results of jobs that go on in threads, taken as they come, with little of them waiting."""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class Stream(Generic[Result]):
    """What one job gives, one result after the other; a few may wait to be taken."""

    def __init__(
        self,
        keys: Sequence[Any],
        most: int,
        changed: threading.Condition,
        is_part: Callable[[Result], bool] | None = None,
    ) -> None:
        """`keys` are those of the results; `most` may wait. `changed` is shared by streams that
        are taken from together. `is_part` says of a result whether more of the same key come."""
        self.keys = deque(keys)
        self.is_single = len(keys) == 1 and is_part is None
        self._most, self._changed, self._is_part = most, changed, is_part
        self._results: deque[Result] = deque()
        self._future: Future[None] = Future()
        self._is_stopped = False

    def begin(self, threads: Executor, results: Callable[[], Generator[Result]]) -> None:
        """Have a thread take results, as fast as they are taken from here."""
        self._future = threads.submit(self._fill, results)
        self._future.add_done_callback(self._end)

    def _fill(self, results: Callable[[], Generator[Result]]) -> None:
        if self._is_stopped:
            return
        with contextlib.closing(results()) as found:
            for result in found:
                if not self._put(result):
                    return

    def _end(self, _: Future[None]) -> None:
        with self._changed:
            self._changed.notify_all()

    def _put(self, result: Result) -> bool:
        """Whether more are wanted; waits until there is room."""
        with self._changed:
            self._results.append(result)
            self._changed.notify_all()
            self._changed.wait_for(lambda: len(self._results) < self._most or self._is_stopped)
            return not self._is_stopped

    @property
    def is_ready(self) -> bool:
        """Whether there is something to take, or nothing more to come."""
        return bool(self._results) or self._future.done()

    @property
    def weight(self) -> int:
        """How many results may wait in it."""
        return self._most if self._is_part else min(self._most, len(self.keys))

    def take(self) -> tuple[Any, Result] | None:
        """The next key and result; None at the end. Raises what the thread failed with."""
        if self._results:
            result = self._results.popleft()
            self._changed.notify_all()
            is_part = self._is_part is not None and self._is_part(result)
            return self.keys[0] if is_part else self.keys.popleft(), result
        return self._future.result()

    def stop(self) -> None:
        """Want no more."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()


def taken_as_they_come(
    begin: Callable[[threading.Condition], Stream[Result] | None], most_waiting: int
) -> Iterator[tuple[Any, Result]]:
    """Yield (key, result) of streams that `begin` gives, None once there are no more.

    The oldest stream comes first; while it has nothing ready later ones are taken from, but never
    past one of a single result, so that these keep their order. So many are begun that
    `most_waiting` results may wait, the first of them when this returns.
    """
    changed = threading.Condition()
    ahead: deque[Stream[Result]] = deque()
    is_over = False

    def fill() -> None:
        nonlocal is_over
        while not is_over and sum(stream.weight for stream in ahead) < most_waiting:
            stream = begin(changed)
            is_over = stream is None
            if stream is not None:
                ahead.append(stream)

    fill()
    return _taken(ahead, fill, changed)


def _taken(
    ahead: deque[Stream[Result]], fill: Callable[[], None], changed: threading.Condition
) -> Iterator[tuple[Any, Result]]:
    try:
        while ahead:
            with changed:
                changed.wait_for(lambda: _ready(ahead) is not None)
                stream = _ready(ahead)
                assert stream is not None, "it was waited for"
                taken = stream.take()
            if taken is None:
                ahead.remove(stream)
            else:
                # No name for it is kept here: it would hold the memory of what is done with.
                yield taken
                del taken
            fill()
    finally:
        for stream in ahead:
            stream.stop()


def _ready(ahead: deque[Stream[Result]]) -> Stream[Result] | None:
    for stream in ahead:
        if stream.is_ready:
            return stream
        if stream.is_single:
            return None
    return None
