"""What a pool tells its workers once, for all videos."""

import json
from dataclasses import asdict, dataclass
from typing import Self

from vifistore.frames.squares import Squares


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """What a worker does with every video."""

    frames: int
    """Frames per clip."""
    clips: int
    """Clips per video."""
    decoder: str
    """Name of the decoder."""
    squares: Squares | None = None
    """Squares to cut from the frames; the frames themselves are handed over where it is None."""
    niceness: int = 0
    """By how much a worker gives way to other processes, 0 to 19."""

    def to_json(self) -> str:
        """The settings as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The settings of `to_json`."""
        fields = json.loads(text)
        squares = fields.pop("squares")
        return cls(**fields, squares=Squares(**squares) if squares else None)
