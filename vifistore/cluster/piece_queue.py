"""What is to do, who was at it when it was lost, and which video is to blame.

Whatever an actor had when it died is suspect, and is done alone from then on. What three actors
died of is halved until one video is left, which is quarantined.
"""

from collections import Counter, deque
from collections.abc import Iterable

from vifistore.extract.given_rows import Piece

MOST_DEATHS = 3


class PieceQueue:
    """Pieces that wait to be given to an actor."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._fresh = deque(pieces)
        self._suspects: deque[Piece] = deque()
        self._deaths: Counter[Piece] = Counter()
        self.culprits: list[Piece] = []
        """Single videos that actors died of."""
        self.num_lost = 0
        """How often a piece was lost."""

    def __len__(self) -> int:
        return len(self._fresh) + len(self._suspects)

    def take(self, most: int, *, is_idle: bool) -> list[Piece]:
        """At most so many pieces; a suspect is given by itself, to an actor that `is_idle`."""
        if self._fresh:
            return [self._fresh.popleft() for _ in range(min(most, len(self._fresh)))]
        return [self._suspects.popleft()] if is_idle and self._suspects else []

    def is_suspect(self, piece: Piece) -> bool:
        """Whether an actor died with it."""
        return self._deaths[piece] > 0

    def put_back(self, pieces: Iterable[Piece]) -> None:
        """Have pieces given to another actor, through no fault of theirs."""
        for piece in pieces:
            (self._suspects if self.is_suspect(piece) else self._fresh).appendleft(piece)

    def blame(self, pieces: Iterable[Piece]) -> None:
        """Take note that an actor died with these pieces."""
        for piece in pieces:
            self.num_lost += 1
            self._deaths[piece] += 1
            if self._deaths[piece] < MOST_DEATHS:
                self._suspects.append(piece)
            elif len(piece.rows) == 1:
                self.culprits.append(piece)
            else:
                self._halve(piece)

    def _halve(self, piece: Piece) -> None:
        middle = len(piece.rows) // 2
        for rows in (piece.rows[:middle], piece.rows[middle:]):
            half = Piece(block=piece.block, rows=rows)
            # One of both is to blame: it is known by one more death.
            self._deaths[half] = MOST_DEATHS - 1
            self._suspects.append(half)
