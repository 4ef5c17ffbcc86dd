"""From where the paths of a dataset start, and a path below it, to the bytes of a video."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from vifistore.sources.footage import Footage, LocalFile

Root = Path
"""Where the paths of a dataset's videos start."""


def footage_at(root: Root, path: str) -> Footage:
    """The video at a path below a root."""
    return LocalFile(root / path)


def footage_of(video: str | Path | Footage) -> Footage:
    """A video as whoever calls a function gives it. A relative path is one of this folder."""
    if isinstance(video, Footage):
        return video
    # Absolute, so that FFmpeg takes no name for an address or an option.
    return LocalFile(Path(video).absolute())


def footage_of_wire(wire: Sequence[str | int]) -> Footage:
    """What `Footage.wire` tells of."""
    kind, *fields = wire
    assert kind == "file", f"{kind} is no kind of footage"
    return LocalFile(Path(str(fields[0])))


@dataclass(frozen=True)
class VideoFiles:
    """The videos of a dataset's rows, or of some of them, opened one by one."""

    root: Root
    paths: np.ndarray
    """object [video], below the root"""

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> Footage:
        return footage_at(self.root, str(self.paths[row]))

    def __iter__(self) -> Iterator[Footage]:
        return (self[row] for row in range(len(self)))

    def take(self, rows: np.ndarray | slice) -> Self:
        """Those of some rows, int64 [video]."""
        return replace(self, paths=self.paths[rows])

    def evenly(self, most: int) -> Self:
        """About so many of them, evenly among all."""
        return self.take(slice(None, None, -(-len(self) // most) or 1))
