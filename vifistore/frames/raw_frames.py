"""What a decoder hands over, and the sequential read that all decoders share."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vifistore.errors import DecodeError
from vifistore.frames.decoders.kept import FramePiece, Keep, KeptFrames
from vifistore.frames.plans import NEVER, FrameTimes, Plan, Planned

ReadRGB = Callable[[], np.ndarray]
"""Converts one decoded frame, only when it is wanted, to upright uint8 [height width 3]."""

FALLBACK_FPS = 25.0
"""Frame rate where a container gives neither times nor a rate."""


@dataclass(frozen=True, kw_only=True)
class RawFrames:
    """The distinct frames that a plan asked for."""

    kept: KeptFrames
    """RGB, upright."""
    planned: Planned
    """What was asked for."""
    numbers: np.ndarray
    """int64 [distinct] of the frames in the file, sorted."""
    index: np.ndarray
    """int64 [clip frame] into `frames`."""
    num_frames: int
    """Frames that can be decoded."""
    declared_frames: int
    """Frames that the file promises, as far as the decoder knows."""
    decoder: str
    """Name of the library that read them."""
    way: str = ""
    """How it went about it; see `vifistore.frames.decoders.decoding.DecodedVideo.way`."""
    was_retried: bool = False
    """Whether they were read in a second way, since one of them could not be read in the first."""

    @property
    def frames(self) -> np.ndarray:
        """uint8 [frame height width 3], or squares: see `KeptFrames.frames`."""
        return self.kept.frames


Read = RawFrames | FramePiece | DecodeError
"""What a decoder gives of a stretch: some of its frames, all that are left, or why it has none."""


def split_plan(planned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted distinct frame numbers, and [clip frame] positions in them."""
    wanted, index = np.unique(planned, return_inverse=True)
    return wanted, index.reshape(planned.shape).astype(np.int64)


def clean_seconds(seconds: Iterable[float | None] | np.ndarray, fps: float | None) -> np.ndarray:
    """Seconds after the first frame, float64 [frame], from times as the container gives them.

    AVI and MPEG files often have no times, or times in decoding order: where one is missing or
    they run backwards or stand still, frame number / fps is used for all.
    """
    # Whatever is None becomes not-a-number.
    times = np.array(seconds if isinstance(seconds, np.ndarray) else [*seconds], np.float64)
    steps = np.diff(times)
    if np.isfinite(times).all() and (steps >= 0).all() and (steps.any() or len(times) == 1):
        return times - times[0]
    rate = fps if fps is not None and np.isfinite(fps) and fps > 0 else FALLBACK_FPS
    return np.arange(len(times)) / rate


class Gathering:
    """The frames of several stretches of one video, filled in one go from its first to its last.

    A frame that several want is converted and cut once.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        times: FrameTimes,
        keep: Keep,
        *,
        declared_frames: int,
        decoder: str,
        way: str = "",
    ) -> None:
        self.times, self._decoder, self._way = times, decoder, way
        self._declared_frames = max(declared_frames, len(times.seconds))
        self._plans = deque(plans)
        self._rows = deque(_begun(plan, times, keep) for plan in plans)
        self._wanting: dict[int, list[_Row]] = {}
        for row in self._rows:
            for number in row.wanted.tolist():
                self._wanting.setdefault(number, []).append(row)

    @property
    def plans(self) -> Sequence[Plan]:
        """Those that are not yet taken."""
        return tuple(self._plans)

    @property
    def wanted(self) -> np.ndarray:
        """Numbers int64 [frame], sorted, of the frames that somebody wants."""
        return np.array(sorted(self._wanting), np.int64)

    def wants(self, number: int) -> bool:
        """Whether somebody wants a frame."""
        return number in self._wanting

    def add(self, number: int, frame: np.ndarray) -> None:
        """Keep a frame, uint8 [1 height width 3], for all who want it."""
        first, *further = self._wanting[number]
        cut = first.kept.cut(frame)
        first.kept.put(cut)
        for row in further:
            row.kept.put(cut.again())

    def add_all(self, numbers: np.ndarray, frames: np.ndarray) -> None:
        """Keep frames, uint8 [frame height width 3]."""
        if len(self._rows) == 1:
            # Without a copy, where they are all there are.
            self._rows[0].kept.add(frames)
            return
        for number, frame in zip(numbers.tolist(), frames, strict=True):
            self.add(number, frame[None])

    def take(self, reached: int = NEVER) -> Iterator[Read]:
        """Yield what is whole, in the order of the plans, once the frames below `reached` are
        read; what is left is for later."""
        while self._rows:
            while piece := self._rows[0].kept.take_piece():
                yield piece
                del piece
            if not (self._rows[0].stop <= reached and self._rows[0].kept.is_full):
                return
            self._plans.popleft()
            yield self._taken(self._rows.popleft())

    def _taken(self, row: "_Row") -> RawFrames | DecodeError:
        for number in row.wanted.tolist():
            self._wanting[number].remove(row)
        if isinstance(row.planned, DecodeError):
            return row.planned
        return RawFrames(
            kept=row.kept,
            planned=row.planned,
            numbers=row.wanted,
            index=row.index,
            num_frames=len(self.times.seconds),
            declared_frames=self._declared_frames,
            decoder=self._decoder,
            way=self._way,
        )

    def settle(self, times: FrameTimes) -> bool:
        """Whether what was planned is what these times give, which are taken over then."""
        anew = [_planned(plan, times) for plan in self._plans]
        pairs = zip(self._rows, anew, strict=True)
        if not all(_is_same(row.planned, planned) for row, planned in pairs):
            return False
        self.times = times
        for row, planned in zip(self._rows, anew, strict=True):
            row.planned = planned
        return True


@dataclass(kw_only=True, eq=False)
class _Row:
    """A stretch that is being filled."""

    planned: Planned | DecodeError
    wanted: np.ndarray
    index: np.ndarray
    kept: KeptFrames

    @property
    def stop(self) -> int:
        return NEVER if isinstance(self.planned, DecodeError) else self.planned.stop


def _planned(plan: Plan, times: FrameTimes) -> Planned | DecodeError:
    try:
        return plan(times)
    except DecodeError as error:
        return error


def _begun(plan: Plan, times: FrameTimes, keep: Keep) -> _Row:
    planned = _planned(plan, times)
    is_none = isinstance(planned, DecodeError)
    wanted, index = split_plan(np.empty((1, 0), np.int64) if is_none else planned.numbers)
    return _Row(planned=planned, wanted=wanted, index=index, kept=KeptFrames(keep, len(wanted)))


def _is_same(one: Planned | DecodeError, other: Planned | DecodeError) -> bool:
    if isinstance(one, DecodeError) or isinstance(other, DecodeError):
        return isinstance(one, DecodeError) and isinstance(other, DecodeError)
    return np.array_equal(one.numbers, other.numbers)
