"""What is kept of a video's frames: all of them, or the squares that the tower wants, cut one frame
after another as they are read.

A frame of 7680 x 4320 takes 100 MB, a square of 224 takes 0.15: a worker need never hold more large
frames than the one it cuts.
"""

import time
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from vifistore.errors import DecodeError
from vifistore.frames.squares import Squares

# Frames of more pixels than this many squares of twice the size are large, too, however narrow.
_LARGE_SQUARES = 4


@dataclass(frozen=True, kw_only=True)
class Keep:
    """Which frames are cut to squares, and to which."""

    squares: Squares | None = None
    """How; None keeps frames as they are."""
    only_large: bool = False
    """Cut frames whose shorter side is more than twice what the tower wants, and no others."""

    def cuts(self, height: int, width: int) -> bool:
        """Whether frames of that size are cut."""
        if self.squares is None or not self.only_large:
            return self.squares is not None
        twice = 2 * self.squares.short_side
        return min(height, width) > twice or height * width > _LARGE_SQUARES * twice**2


WHOLE = Keep()
"""Frames as they are read."""


@dataclass(frozen=True, kw_only=True)
class CutFrames:
    """Frames that were read, cut or as they are."""

    pixels: np.ndarray
    """uint8 [frame height width 3]; of squares [frame crop size size 3]."""
    shape: tuple[int, ...]
    """Of a frame that was read: height, width, 3."""
    are_squares: bool
    seconds: float
    """Processor time that cutting took."""

    def again(self) -> Self:
        """Itself, for one more who wants them: cutting is counted once."""
        return replace(self, seconds=0.0)


class KeptFrames:
    """The frames of one stretch of a video, filled as they are read."""

    def __init__(self, keep: Keep, count: int) -> None:
        """`count` is how many there will be."""
        self._keep = keep
        self._count = count
        self._found = 0
        self._shape: tuple[int, ...] = ()
        self._memory: np.ndarray | None = None
        self.are_squares = False
        """Whether they were cut."""
        self.cut_seconds = 0.0
        """Processor time that cutting took."""

    def add(self, frames: np.ndarray) -> None:
        """Keep what is wanted of the next frames, uint8 [frame height width 3].

        Raises DecodeError for frames of another size than those before.
        """
        self.put(self.cut(frames))

    def cut(self, frames: np.ndarray) -> CutFrames:
        """What is wanted of frames, uint8 [frame height width 3]."""
        start = time.process_time()
        squares = self._keep.squares if self._keep.cuts(*frames.shape[1:3]) else None
        # [frame ...], so that the next frames lie behind.
        pixels = frames if squares is None else squares.cut(frames).swapaxes(0, 1)
        return CutFrames(
            pixels=pixels,
            shape=frames.shape[1:],
            are_squares=squares is not None,
            seconds=0.0 if squares is None else time.process_time() - start,
        )

    def put(self, cut: CutFrames) -> None:
        """Keep the next frames. Raises DecodeError as `add` does."""
        start = time.process_time()
        if not self._shape:
            self._shape, self.are_squares = cut.shape, cut.are_squares
        if cut.shape != self._shape:
            raise DecodeError("decode error", "its images have different sizes")
        if self._memory is None and len(cut.pixels) == self._count:
            self._memory = cut.pixels
        else:
            if self._memory is None:
                self._memory = np.empty((self._count, *cut.pixels.shape[1:]), np.uint8)
            self._memory[self._found : self._found + len(cut.pixels)] = cut.pixels
        self._found += len(cut.pixels)
        copying = time.process_time() - start if self.are_squares else 0.0
        self.cut_seconds += cut.seconds + copying

    @property
    def is_full(self) -> bool:
        """Whether all of them are there."""
        return self._found == self._count

    @property
    def height(self) -> int:
        """Of the frames that were read, pixels."""
        return self._shape[0]

    @property
    def width(self) -> int:
        """Of the frames that were read, pixels."""
        return self._shape[1]

    @property
    def frames(self) -> np.ndarray:
        """uint8 [frame height width 3]; squares are [crop*frame size size 3], crop-major."""
        assert self._memory is not None, "no frames were read"
        assert self._found == self._count, "frames are missing"
        if not self.are_squares:
            return self._memory
        squares = self._memory.swapaxes(0, 1)
        return np.ascontiguousarray(squares.reshape(-1, *squares.shape[2:]))
