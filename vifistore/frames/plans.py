"""Which frames of a stretch of a video are wanted: a plan, made once it is known when each of the
video's frames is shown."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from vifistore.errors import DecodeError
from vifistore.frames.bitstreams.lost_time import NO_LOSS
from vifistore.frames.sampling import (
    sample_at_rate,
    sample_every,
    sample_indices,
    sample_training_indices,
)

# Containers round times; a frame that is shown at the border of two stretches is of the later one.
_ROUNDING_SECONDS = 1e-6
# Behind the last frame of any video.
NEVER = 2**62


class Span(NamedTuple):
    """A stretch of a video, in seconds after its first frame: start <= t < end."""

    start: float = 0.0
    end: float = np.inf

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole video."""
        return self == WHOLE_VIDEO


WHOLE_VIDEO = Span()


def span_of(start: float, end: float) -> Span:
    """A stretch as the table of videos has it, where an end that is not a number is the file's."""
    return Span(float(start), np.inf if np.isnan(end) else float(end))


class Sampling(NamedTuple):
    """How frames are chosen: so many of each clip, or with `fps` or `every` those there are."""

    frames: int
    """Frames per clip; at most so many with `fps` or `every`."""
    clips: int = 1
    """Clips of a stretch."""
    stride: int = 0
    """Frames of the video from one of a clip to the next; 0 spreads them over the stretch."""
    fps: float = 0.0
    """Frames a second; 0 for none."""
    every: int = 0
    """Every so many of the frames of the file; 0 for none."""

    @property
    def has_rate(self) -> bool:
        """Whether the length of a stretch decides how many frames it has."""
        return bool(self.fps or self.every)


@dataclass(frozen=True)
class FrameTimes:
    """When the frames of a video are shown."""

    seconds: np.ndarray
    """float64 [frame], after the first frame, in order."""
    lost: np.ndarray = field(default_factory=lambda: NO_LOSS)
    """float64 [stretch 2], seconds that a damaged file does not hold any more."""

    @property
    def end(self) -> float:
        """Where the last frame ends: it is shown as long as the mean of the others, and one that is
        alone as long as one of 25 a second."""
        count = len(self.seconds)
        last = float(self.seconds[-1])
        return last + (last / (count - 1) if count > 1 and last > 0 else 1 / 25)

    def numbers_of(self, span: Span) -> tuple[int, int]:
        """The first of the frames of a stretch, and the one behind the last."""
        borders = np.array(span) - _ROUNDING_SECONDS
        first, stop = np.searchsorted(self.seconds, borders)
        return int(first), int(stop)

    def lost_of(self, span: Span) -> float:
        """Seconds of a stretch that are lost."""
        parts = self.lost.clip(*span)
        return float((parts[:, 1] - parts[:, 0]).sum())

    def shown_at(self, moments: np.ndarray) -> np.ndarray:
        """Numbers int64 of the frames that are shown at some seconds, float64."""
        found = np.searchsorted(self.seconds, moments + _ROUNDING_SECONDS, side="right") - 1
        return found.clip(0).astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What a plan wants of a video."""

    numbers: np.ndarray
    """Frame numbers int64 [clip frame]."""
    seconds: np.ndarray
    """float64 [clip frame], after the first frame of the video: of frames at a rate the moments at
    which they are taken, of all others those from which they are shown in the stretch."""
    stop: int
    """Number of the first frame that decides nothing any more; NEVER where the end does."""
    left_out: int = 0
    """Frames that the stretch has beyond those that a clip may have."""
    lost_seconds: float = 0.0
    """How much of the stretch a damaged file does not hold any more."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The frames of one stretch of a video."""

    sampling: Sampling
    span: Span = WHOLE_VIDEO
    draw: Sequence[int] | None = None
    """Seeds a random clip of the training rule; without it frames are those of the test rule."""
    also: Sequence[Sampling] = ()
    """Further samplings of the test rule: all numbers are then [1 place], one after the other."""

    def __call__(self, times: FrameTimes) -> Planned:
        """What is wanted of a video of these frames. Raises DecodeError if the stretch has none."""
        lost_seconds = self._lost_of(times)
        first, stop = times.numbers_of(self.span)
        parts = [self._chosen(times, sampling, first, stop) for sampling in self._samplings]
        numbers, seconds, left_out = parts[0]
        if self.also:
            numbers = np.concatenate([part[0].ravel() for part in parts])[None]
            seconds = np.concatenate([part[1].ravel() for part in parts])[None]
        is_last = stop >= len(times.seconds)
        return Planned(
            numbers=numbers,
            seconds=seconds,
            stop=NEVER if is_last else stop,
            left_out=left_out,
            lost_seconds=lost_seconds,
        )

    def _lost_of(self, times: FrameTimes) -> float:
        """Seconds of the stretch that are lost. Raises DecodeError if all are: what is shown there
        is a frame of another stretch."""
        lost, (start, end) = times.lost_of(self.span), self.span
        if lost > 0 and lost >= end - start - _ROUNDING_SECONDS:
            told = f"the file is damaged: it has lost what is from {start:.6g} to {end:.6g} seconds"
            raise DecodeError("decode error", told)
        return lost

    @property
    def _samplings(self) -> Sequence[Sampling]:
        return (self.sampling, *self.also)

    def _chosen(
        self, times: FrameTimes, sampling: Sampling, first: int, stop: int
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Numbers and seconds [clip frame] by one sampling, and how many are left out."""
        if sampling.fps:
            end = min(self.span.end, times.end)
            self._require(self.span.start < end, times)
            moments, left_out = sample_at_rate(self.span.start, end, sampling.fps, sampling.frames)
            return times.shown_at(moments)[None], moments[None], left_out
        if first >= stop:
            return self._still(times, sampling, first - 1)
        if sampling.every:
            numbers, left_out = sample_every(first, stop, sampling.every, sampling.frames)
            return numbers[None], times.seconds[numbers][None], left_out
        if self.draw is not None and sampling is self.sampling:
            # A new generator, since a plan is made again where a file holds fewer frames than it
            # says.
            generator = np.random.default_rng(self.draw)
            numbers = sample_training_indices(stop - first, sampling.frames, generator)[None]
        else:
            of_clips = (sampling.frames, sampling.clips, sampling.stride)
            numbers = sample_indices(stop - first, *of_clips)
        return first + numbers, times.seconds[first + numbers], 0

    def _still(
        self, times: FrameTimes, sampling: Sampling, number: int
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """As `_chosen`, of a stretch in which no frame begins: the one that is shown all the while,
        from the start of the stretch on. Raises DecodeError if there is none."""
        self._require(number >= 0 and self.span.start < min(self.span.end, times.end), times)
        clips = sampling.clips if self.draw is None else 1
        shape = (1, 1) if sampling.every else (clips, sampling.frames)
        return np.full(shape, number, np.int64), np.full(shape, self.span.start), 0

    def _require(self, has_frames: bool, times: FrameTimes) -> None:
        if not has_frames:
            start, end = (f"{second:.6g}" for second in self.span)
            raise DecodeError(
                "short",
                f"it has no frame from {start} to {end} seconds: it ends at {times.end:.6g}",
            )
