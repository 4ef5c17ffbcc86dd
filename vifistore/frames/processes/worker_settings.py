"""What a pool tells its workers once, for all videos."""

import json
from dataclasses import asdict, dataclass
from typing import Self

from vifistore.frames.decoders.kept import WHOLE, Keep
from vifistore.frames.plans import Sampling
from vifistore.frames.squares import Squares


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """What a worker does with every video."""

    sampling: Sampling
    """Which frames of a stretch."""
    decoder: str
    """Name of the decoder."""
    keep: Keep = WHOLE
    """Which frames are cut to squares; the others are handed over as they are."""
    niceness: int = 0
    """By how much a worker gives way to other processes, 0 to 19."""
    max_bytes: int = 0
    """Memory that a worker may take; 0 for any."""

    def to_json(self) -> str:
        """The settings as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The settings of `to_json`."""
        fields = json.loads(text)
        keep = fields.pop("keep")
        squares = keep.pop("squares")
        cut = Keep(**keep, squares=Squares(**squares) if squares else None)
        return cls(**{**fields, "sampling": Sampling(*fields["sampling"])}, keep=cut)
