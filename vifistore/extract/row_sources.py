"""Where the rows of a run come from: blocks are claimed a little ahead of decoding, and given back
once they are written, so that whoever works on the same set shares what is left of it."""

import threading
import time
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from vifistore.store.committer import BlockWriter
from vifistore.store.schema import BLOCK_SIZE, TODO
from vifistore.store.writer import BlockData, FeatureWriter

# Looking at the whole set again may take no more than one part in so many of the time.
_LOOKING = 20


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which rows of a set a run may have."""

    blocks: range | None = None
    """Only rows of these blocks; None for all."""
    first: range | None = None
    """Blocks to begin with."""
    limit: int | None = None
    """At most so many rows."""
    waits: bool = False
    """Whether it waits for blocks of processes that may have been killed, and does them."""


ALL = Wanted()


class RowSource(Protocol):
    """Gives the rows of a run, block by block."""

    taken: list[int]
    """Rows that came."""
    pending: Counter[int]
    """How many rows of a block have come, and have no result yet."""

    @property
    def planned(self) -> Sequence[int]:
        """Rows that may come."""
        ...

    @property
    def total(self) -> int:
        """How many rows come in all, as far as is known."""
        ...

    def __iter__(self) -> Iterator[int]:
        """Rows whose blocks this process has claimed, each once; used in one thread."""
        ...

    def written(self, group: Sequence[BlockData]) -> None:
        """Take note that these blocks are in the store; called from any thread."""
        ...


class HeldRows:
    """Rows whose blocks are all claimed from the start, and kept until the end."""

    def __init__(self, rows: Sequence[int]) -> None:
        self.planned: Sequence[int] = rows
        self.taken: list[int] = []
        self.pending: Counter[int] = Counter()
        self.total = len(rows)

    def __iter__(self) -> Iterator[int]:
        """Every row."""
        self.pending.update(row // BLOCK_SIZE for row in self.planned)
        self.taken.extend(self.planned)
        return iter(self.planned)

    def written(self, group: Sequence[BlockData]) -> None:
        """Nothing is given back."""


class Unwritten:
    """Counts the rows of claimed blocks that are not written yet, and gives back whole ones."""

    def __init__(self, writer: FeatureWriter) -> None:
        self._writer = writer
        self._turns = threading.Lock()
        self._rows: Counter[int] = Counter()

    def claim(self, block: int) -> bool:
        """Claim a block, unless another process has it; return whether it is this one's."""
        with self._turns:
            return block in self._rows or bool(self._writer.claim_free([block]))

    def add(self, block: int, num_rows: int) -> None:
        """Note rows of a claimed block; without any it is given back."""
        with self._turns:
            self._rows[block] += num_rows
            self._give_back(block)

    def written(self, group: Sequence[BlockData]) -> None:
        """Give back the blocks of which all rows are written."""
        with self._turns:
            for part in group:
                self._rows[part.block] -= len(part.rows)
                self._give_back(part.block)

    def _give_back(self, block: int) -> None:
        if not self._rows[block]:
            del self._rows[block]
            self._writer.release([block])


class FreeRows:
    """The rows to do of blocks that nobody has, one block after the other.

    Where another process is met, the search goes on in the middle of what is left, so that they
    meet rarely. Use it as a context manager: the next block is claimed while one is decoded.
    """

    def __init__(self, writer: FeatureWriter, wanted: Wanted) -> None:
        self._writer, self._limit = writer, wanted.limit
        self._unwritten = Unwritten(writer)
        self._rows_of = _rows_by_block(writer.status)
        order = dict.fromkeys([*(wanted.first or ()), *self._rows_of])
        self._left = [block for block in order if self._may_take(wanted, block)]
        self._elsewhere: set[int] = set()
        self.planned = _rows_to_do(writer.status, self._left)
        self.taken: list[int] = []
        self.pending: Counter[int] = Counter()
        self._num_found, self._expected = 0, len(self.planned)
        self._has_found = False
        self._looked, self._looking = time.monotonic(), 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="claim")
        self._next: Future[list[int]] = self._thread.submit(self._find)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing that this process can do: it is done, or others have it."""
        return not self._next.result()

    @property
    def total(self) -> int:
        """How many rows come in all, if no other process takes one of them."""
        return self._expected if self._limit is None else min(self._expected, self._limit)

    def __iter__(self) -> Iterator[int]:
        """Rows of claimed blocks, until none is free."""
        while rows := self._next.result() or self._left_by_others():
            self.pending[rows[0] // BLOCK_SIZE] += len(rows)
            self.taken.extend(rows)
            self._next = self._thread.submit(self._find)
            yield from rows

    def written(self, group: Sequence[BlockData]) -> None:
        """Let others have blocks that are written."""
        self._unwritten.written(group)

    def _may_take(self, wanted: Wanted, block: int) -> bool:
        return block in self._rows_of and (wanted.blocks is None or block in wanted.blocks)

    def _find(self) -> list[int]:
        """The rows of the next free block; none if there is none."""
        wanted = None if self._limit is None else self._limit - len(self.taken)
        while self._left and (wanted is None or wanted > 0):
            rows = self._take(self._left.pop(0), wanted)
            if rows:
                self._has_found = True
                self._num_found += len(rows)
                return rows
        return []

    def _take(self, block: int, wanted: int | None) -> list[int]:
        if not self._unwritten.claim(block):
            self._elsewhere.add(block)
            self._expected -= self._rows_of[block]
            middle = len(self._left) // 2
            self._left = self._left[middle:] + self._left[:middle]
            return []
        rows = self._writer.todo_rows(block)
        self._expected -= self._rows_of[block] - len(rows)
        rows = rows[:wanted]
        self._unwritten.add(block, len(rows))
        if not rows and (time.monotonic() - self._looked) > _LOOKING * self._looking:
            # Others are at work, and have done more than this one.
            self._look()
        return rows

    def _look(self) -> None:
        """Leave out what others have done by now."""
        began = time.monotonic()
        self._writer.refresh()
        self._rows_of = _rows_by_block(self._writer.status)
        self._left = [block for block in self._left if block in self._rows_of]
        self._expected = self._num_found + sum(self._rows_of[block] for block in self._left)
        self._looked = time.monotonic()
        self._looking = self._looked - began

    def _left_by_others(self) -> list[int]:
        """The rows of a block that others had, where any was free since they were tried last."""
        if not self._elsewhere or not self._has_found:
            return []
        self._has_found = False
        self._left, self._elsewhere = sorted(self._elsewhere), set()
        self._look()
        return self._find()


class NotedWriter:
    """Writes blocks, and tells where their rows come from."""

    def __init__(self, writer: BlockWriter, source: RowSource) -> None:
        self._writer, self._source = writer, source

    def write_blocks(self, group: Sequence[BlockData]) -> None:
        """Write a group of blocks; they last when it returns."""
        self._writer.write_blocks(group)
        self._source.written(group)


def _rows_by_block(status: np.ndarray) -> dict[int, int]:
    """How many rows are to do of each block that has any, of uint8 [video]."""
    blocks, counts = np.unique(np.flatnonzero(status == TODO) // BLOCK_SIZE, return_counts=True)
    return dict(zip(blocks.tolist(), counts.tolist(), strict=True))


def _rows_to_do(status: np.ndarray, blocks: Sequence[int]) -> Sequence[int]:
    """The rows to do of some blocks, ascending, of uint8 [video]."""
    rows = np.flatnonzero(status == TODO)
    # Of ten million videos a list would take 400 MB.
    return array("q", rows[np.isin(rows // BLOCK_SIZE, blocks)].tobytes())
