"""Which parts of one memory are taken: the first that is large enough, in whole pages."""

import mmap
from collections import deque
from threading import Lock

_PAGE = mmap.ALLOCATIONGRANULARITY


class Parts:
    """Gives out parts of a memory that never overlap. Threads may share one."""

    def __init__(self, num_bytes: int) -> None:
        self._free = [(0, num_bytes)]
        self._given_back: deque[tuple[int, int]] = deque()
        self._lock = Lock()

    def take(self, num_bytes: int) -> int | None:
        """Where a part of so many bytes begins, at a page; None if there is no room for one."""
        size = _whole_pages(num_bytes)
        with self._lock:
            self._collect()
            for place, (start, end) in enumerate(self._free):
                if end - start >= size:
                    self._free[place : place + 1] = [(start + size, end)]
                    return start
        return None

    def give_back(self, start: int, num_bytes: int) -> None:
        """Take a part back. It waits for nothing, so that a finaliser, which may run in the midst
        of `take`, can call it."""
        self._given_back.append((start, start + _whole_pages(num_bytes)))

    def _collect(self) -> None:
        """Join what was given back to what is free."""
        while self._given_back:
            self._free.append(self._given_back.popleft())
        joined: list[tuple[int, int]] = []
        for start, end in sorted(part for part in self._free if part[0] < part[1]):
            if joined and joined[-1][1] == start:
                start = joined.pop()[0]
            joined.append((start, end))
        self._free = joined


def _whole_pages(num_bytes: int) -> int:
    return max(1, -(-num_bytes // _PAGE)) * _PAGE
