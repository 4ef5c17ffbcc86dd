"""Rows that somebody else gives, piece by piece, while others are under way."""

import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from vifistore.extract.row_sources import Unwritten
from vifistore.store.writer import BlockData, FeatureWriter


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """Rows of one block, or all that is to do of it; of ten million videos there are 156,250."""

    block: int
    rows: range | tuple[int, ...]
    """Ascending; a range where none between them is left out."""


class GivenRows:
    """The rows of pieces, in the order in which they are given, until none waits.

    Of a piece whose block another process has nothing comes. Used from two threads: one gives and
    asks, the other takes.
    """

    def __init__(self, writer: FeatureWriter, planned: Sequence[int]) -> None:
        """`planned` are the rows that may come."""
        self.planned, self._writer = planned, writer
        self._unwritten = Unwritten(writer)
        self.taken: list[int] = []
        self.pending: Counter[int] = Counter()
        self._turns = threading.Lock()
        self._waiting: deque[Piece] = deque()
        self._piece_of: dict[int, Piece] = {}
        self._left: Counter[Piece] = Counter()
        self._settled: list[Piece] = []
        self._found_done: list[Piece] = []
        self._elsewhere: list[Piece] = []

    @property
    def total(self) -> int:
        """Rows that came, and those of pieces that wait."""
        return len(self.taken) + sum(len(piece.rows) for piece in list(self._waiting))

    @property
    def num_waiting(self) -> int:
        """How many pieces wait."""
        return len(self._waiting)

    def give(self, pieces: Iterable[Piece]) -> None:
        """Have pieces done after those that wait."""
        self._waiting.extend(pieces)

    def take_back(self) -> list[Piece]:
        """The pieces that have not begun; they will not come."""
        with self._turns:
            pieces = list(self._waiting)
            self._waiting.clear()
        return pieces

    def settled(self) -> list[Piece]:
        """The pieces that came to be in the store since this was asked last."""
        with self._turns:
            pieces, self._settled = self._settled, []
        return pieces

    def found_done(self) -> list[Piece]:
        """The pieces of which nothing was left to do since this was asked last."""
        with self._turns:
            pieces, self._found_done = self._found_done, []
        return pieces

    def elsewhere(self) -> list[Piece]:
        """The pieces that another process turned out to have since this was asked last."""
        with self._turns:
            pieces, self._elsewhere = self._elsewhere, []
        return pieces

    def __iter__(self) -> Iterator[int]:
        """Rows of claimed blocks, until no piece waits."""
        while piece := self._begin():
            yield from self._rows(piece)

    def _begin(self) -> Piece | None:
        with self._turns:
            return self._waiting.popleft() if self._waiting else None

    def _rows(self, piece: Piece) -> list[int]:
        if not self._unwritten.claim(piece.block):
            with self._turns:
                self._elsewhere.append(piece)
            return []
        to_do = set(self._writer.todo_rows(piece.block))
        rows = [row for row in piece.rows if row in to_do]
        self._unwritten.add(piece.block, len(rows))
        with self._turns:
            if rows:
                self._left[piece] = len(rows)
                self._piece_of |= dict.fromkeys(rows, piece)
            else:
                self._found_done.append(piece)
        self.pending[piece.block] += len(rows)
        self.taken.extend(rows)
        return rows

    def written(self, group: Sequence[BlockData]) -> None:
        """Take note of what is in the store, and give its blocks back."""
        self._unwritten.written(group)
        with self._turns:
            for row in (row for part in group for row in part.rows):
                piece = self._piece_of.pop(row)
                self._left[piece] -= 1
                if not self._left[piece]:
                    del self._left[piece]
                    self._settled.append(piece)
