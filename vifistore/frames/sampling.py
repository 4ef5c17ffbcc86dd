"""Which frames of a video are read: the test rule and the training rule of the paper, and those of
a rate.

N is the number of frames of the video, T the number of frames of a clip. A video shorter than a
clip repeats frames. At a rate a video has as many frames as its length decides, T at most.
"""

import numpy as np

from vifistore.errors import UsageError

SAMPLING_RULE, WINDOW_RULE = "segment-centre", "window-centre"
"""Names of the rules of `sample_indices`, without a stride and with one, as recipes record them."""

RATE_RULE, EVERY_RULE = "fixed-rate", "every-nth"
"""Names of the rules of `sample_at_rate` and `sample_every`."""


def sample_indices(num_frames: int, frames: int, clips: int = 1, stride: int = 0) -> np.ndarray:
    """Frame numbers int64 [clip frame]: one per segment, at a place that differs from clip to clip;
    or, with a stride, windows of frames so far apart.

    Without a stride, clip c of n takes floor((i + (c + 1) / (n + 1)) * N / T) mod N. For n = 1 this
    is the centre of each segment, floor((i + 0.5) * N / T), which is how the ViFi-CLIP paper
    (section 4) tests.
    With one, clip c is the window in the middle of the c-th of n equal stretches of the video,
    shifted to lie in it whole; frames that a short video has not are its first or last.
    Computed in integers, so no rounding depends on the machine. Raises UsageError for counts
    below 1.
    """
    _check_counts(num_frames, frames)
    if clips < 1 or stride < 0:
        raise UsageError(f"clips is {clips} and stride {stride}; give at least 1 and 0")
    if stride:
        return _windows(num_frames, frames, clips, stride)
    segment = np.arange(frames, dtype=np.int64)[None, :]
    clip = np.arange(clips, dtype=np.int64)[:, None]
    numerator = (segment * (clips + 1) + clip + 1) * num_frames
    return numerator // ((clips + 1) * frames) % num_frames


def _windows(num_frames: int, frames: int, clips: int, stride: int) -> np.ndarray:
    """As `sample_indices`: places start_c + i s, start_c = floor((2c + 1) N / 2n - L / 2), of
    windows that cover L = (T - 1) s + 1 frames."""
    length = (frames - 1) * stride + 1
    clip = np.arange(clips, dtype=np.int64)[:, None]
    start = ((2 * clip + 1) * num_frames - clips * length) // (2 * clips)
    if length <= num_frames:
        start = start.clip(0, num_frames - length)
    places = start + np.arange(frames, dtype=np.int64)[None, :] * stride
    return places.clip(0, num_frames - 1)


def sample_training_indices(
    num_frames: int, frames: int, generator: np.random.Generator
) -> np.ndarray:
    """Frame numbers int64 [frame]: one drawn at random from each of T equal segments.

    Segments are a = floor(N / T) frames long, so the last N - T * a frames are never drawn. With
    N < T nothing is random: frame i is round(i * N / T) mod N. Both as in the ViFi-CLIP code.
    """
    _check_counts(num_frames, frames)
    segment = np.arange(frames, dtype=np.int64)
    length = num_frames // frames
    if length == 0:
        return np.rint(segment * num_frames / frames).astype(np.int64) % num_frames
    return segment * length + generator.integers(0, length, size=frames)


def sample_at_rate(start: float, end: float, fps: float, most: int) -> tuple[np.ndarray, int]:
    """Moments float64 [frame] of a stretch in seconds, and how many there are beyond the `most`.

    They are start + (i + 1/2) / fps, as far as they lie below the end, so that they do not depend
    on where a longer stretch goes on; a stretch that is too short for the first has its middle.
    Raises UsageError for a rate that is not positive.
    """
    if not 0 < fps < np.inf:
        raise UsageError(f"fps is {fps}; give a positive number of frames a second")
    count = max(1.0, np.ceil((end - start) * fps - 0.5))
    moments = start + (np.arange(int(min(count, most))) + 0.5) / fps
    if moments[0] >= end:
        moments[0] = (start + end) / 2
    return moments, int(min(count - len(moments), 2**62))


def sample_every(first: int, stop: int, every: int, most: int) -> tuple[np.ndarray, int]:
    """Numbers int64 [frame], of the frames of a file from `first` to below `stop` those that are
    multiples of `every`, else the first; and how many there are beyond the `most`."""
    if every < 1:
        raise UsageError(f"every is {every}; give 1 or more")
    numbers = np.arange(-(-first // every) * every, stop, every, dtype=np.int64)
    if not len(numbers):
        numbers = np.array([first], np.int64)
    return numbers[:most], max(0, len(numbers) - most)


def _check_counts(num_frames: int, frames: int) -> None:
    if num_frames < 1:
        raise UsageError(f"num_frames is {num_frames}; a video has at least 1 frame")
    if frames < 1:
        raise UsageError(f"frames is {frames}; a clip has at least 1 frame")
