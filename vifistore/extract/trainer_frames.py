"""What a trainer reads of the videos that a follower of its checkpoints extracts."""

from collections.abc import Sequence
from dataclasses import dataclass

from vifistore.frames.kept import Kept


@dataclass(frozen=True, kw_only=True)
class TrainerFrames:
    """Frames that a trainer draws from, in the frame cache that it shares with an extraction."""

    kept: Kept
    """Which ones."""
    rows: frozenset[int]
    """Videos that it reads."""

    def of_row(self, row: int) -> Sequence[Kept]:
        """What it keeps of a video."""
        return (self.kept,) if row in self.rows else ()
