"""What a decoder hands over, and the sequential read that all decoders share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from vifistore.errors import DecodeError
from vifistore.frames.kept import WHOLE, Keep, KeptFrames

Plan = Callable[[int], np.ndarray]
"""Number of frames of a video -> frame numbers int64 [clip frame]."""

ReadRGB = Callable[[], np.ndarray]
"""Converts one decoded frame, only when it is wanted, to upright uint8 [height width 3]."""

FALLBACK_FPS = 25.0
"""Frame rate where a container gives neither times nor a rate."""


@dataclass(frozen=True, kw_only=True)
class RawFrames:
    """The distinct frames that a plan asked for."""

    kept: KeptFrames
    """RGB, upright."""
    index: np.ndarray
    """int64 [clip frame] into `frames`."""
    seconds: np.ndarray
    """float64 [distinct], seconds after the first frame of the video."""
    num_frames: int
    """Frames that can be decoded."""
    declared_frames: int
    """Frames that the file promises, as far as the decoder knows."""
    decoder: str
    """Name of the library that read them."""
    was_retried: bool = False
    """Whether they were read in a second way, since one of them could not be read in the first."""

    @property
    def frames(self) -> np.ndarray:
        """uint8 [frame height width 3], or squares: see `KeptFrames.frames`."""
        return self.kept.frames


def split_plan(planned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted distinct frame numbers, and [clip frame] positions in them."""
    wanted, index = np.unique(planned, return_inverse=True)
    return wanted, index.reshape(planned.shape).astype(np.int64)


def clean_seconds(seconds: Iterable[float | None], fps: float | None) -> np.ndarray:
    """Seconds after the first frame, float64 [frame], from times as the container gives them.

    AVI and MPEG files often have no times, or times in decoding order: where one is missing or
    they run backwards or stand still, frame number / fps is used for all.
    """
    times = np.array([np.nan if second is None else second for second in seconds], np.float64)
    steps = np.diff(times)
    if np.isfinite(times).all() and (steps >= 0).all() and (steps.any() or len(times) == 1):
        return times - times[0]
    rate = fps if fps is not None and np.isfinite(fps) and fps > 0 else FALLBACK_FPS
    return np.arange(len(times)) / rate


def read_sequentially(
    open_stream: Callable[[], Iterable[tuple[ReadRGB, float | None]]],
    plan: Plan,
    *,
    expected_frames: int,
    declared_frames: int,
    fps: float | None,
    decoder: str,
    keep: Keep = WHOLE,
) -> RawFrames:
    """Read every frame in order and keep those of the plan; seeks nowhere, so it cannot miss.

    The stream yields (function that gives the pixels, seconds or None) per frame. Should it hold
    another number of frames than expected, the plan is made anew over that number, once. Raises
    DecodeError if no frame can be decoded, or their number changes again.
    """
    num_frames = expected_frames
    for _ in range(2):
        wanted, index = split_plan(plan(max(num_frames, 1)))
        kept = KeptFrames(keep, len(wanted))
        seconds = _collect(open_stream(), set(wanted.tolist()), kept)
        if not seconds:
            raise DecodeError("short", f"none of its {declared_frames} frames can be decoded")
        if len(seconds) == num_frames:
            return RawFrames(
                kept=kept,
                index=index,
                seconds=clean_seconds(seconds, fps)[wanted],
                num_frames=num_frames,
                declared_frames=max(declared_frames, num_frames),
                decoder=decoder,
            )
        num_frames = len(seconds)
    raise DecodeError("decode error", "the decoder gives another number of frames at every read")


def _collect(
    stream: Iterable[tuple[ReadRGB, float | None]], wanted: set[int], kept: KeptFrames
) -> list[float | None]:
    """Times of all frames of a stream; those wanted are kept."""
    seconds: list[float | None] = []
    for number, (read_rgb, second) in enumerate(stream):
        seconds.append(second)
        if number in wanted:
            kept.add(read_rgb()[None])
    return seconds
