"""What is kept of a video's frames: all of them, or the squares that the tower wants, cut one frame
after another as they are read.

A frame of 7680 x 4320 takes 100 MB, a square of 224 takes 0.15: a worker need never hold more large
frames than the one it cuts.
"""

import time
from collections import deque
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
    piece_bytes: int = 0
    """Hand the frames of a stretch over in pieces of about so many bytes, one by one as they are
    read, so that a long one need not be held whole; 0 keeps all until the last is there."""

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


@dataclass(frozen=True, kw_only=True)
class FramePiece:
    """Some frames of a stretch, of which more are to come. One whose `first` is 0 begins anew: the
    pieces before it are not those of the stretch, of which a file held other frames than it says.
    """

    frames: np.ndarray
    """uint8 [frame height width 3], or squares, [crop*frame size size 3]."""
    first: int
    """How many distinct frames of the stretch come before these."""
    are_squares: bool


class KeptFrames:
    """The frames of one stretch of a video, filled as they are read."""

    def __init__(self, keep: Keep, count: int) -> None:
        """`count` is how many there will be."""
        self._keep = keep
        self._count = count
        self._found = self._begin = 0
        self._pieces: deque[FramePiece] = deque()
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
        pixels = cut.pixels
        while len(pixels):
            pixels = self._fill(pixels)
        copying = time.process_time() - start if self.are_squares else 0.0
        self.cut_seconds += cut.seconds + copying

    def _fill(self, pixels: np.ndarray) -> np.ndarray:
        """Keep some of the next frames [frame ...]; returns those that are left."""
        if self._memory is None:
            room = self._count - self._found
            if self._keep.piece_bytes:
                room = min(room, max(1, self._keep.piece_bytes // pixels[0].nbytes))
            # Without a copy, where they are all there are.
            is_all = len(pixels) == room
            self._memory = pixels if is_all else np.empty((room, *pixels.shape[1:]), np.uint8)
        place = self._found - self._begin
        count = min(len(pixels), len(self._memory) - place)
        if self._memory is not pixels:
            self._memory[place : place + count] = pixels[:count]
        self._found += count
        if place + count == len(self._memory) and not self.is_full:
            self._end_piece()
        return pixels[count:]

    def _end_piece(self) -> None:
        about = {"first": self._begin, "are_squares": self.are_squares}
        self._pieces.append(FramePiece(frames=self._as_given(), **about))
        self._begin, self._memory = self._found, None

    def take_piece(self) -> FramePiece | None:
        """The next of the pieces that are whole, but for the last one, which `frames` gives."""
        return self._pieces.popleft() if self._pieces else None

    @property
    def first(self) -> int:
        """How many frames come before `frames`, in pieces."""
        return self._begin

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
        """uint8 [frame height width 3]; squares are [crop*frame size size 3], crop-major. Those of
        the last piece, where the others were handed over before."""
        assert self._found == self._count, "frames are missing"
        return self._as_given()

    def _as_given(self) -> np.ndarray:
        assert self._memory is not None, "no frames were read"
        if not self.are_squares:
            return self._memory
        squares = self._memory.swapaxes(0, 1)
        return np.ascontiguousarray(squares.reshape(-1, *squares.shape[2:]))
