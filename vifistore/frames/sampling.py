"""Which frames of a video are read: the test rule and the training rule of the paper.

N is the number of frames of the video, T the number of frames of a clip. A video shorter than a
clip repeats frames.
"""

import numpy as np

from vifistore.errors import UsageError

SAMPLING_RULE = "segment-centre"
"""Name of the rule of `sample_indices`, as recipes record it."""


def sample_indices(num_frames: int, frames: int, clips: int = 1) -> np.ndarray:
    """Frame numbers int64 [clip frame]: one per segment, at a place that differs from clip to clip.

    Clip c of n takes floor((i + (c + 1) / (n + 1)) * N / T) mod N. For n = 1 this is the centre of
    each segment, floor((i + 0.5) * N / T), which is how the ViFi-CLIP paper (section 4) tests.
    Computed in integers, so no rounding depends on the machine. Raises UsageError for counts
    below 1.
    """
    _check_counts(num_frames, frames)
    if clips < 1:
        raise UsageError(f"clips is {clips}; it must be at least 1")
    segment = np.arange(frames, dtype=np.int64)[None, :]
    clip = np.arange(clips, dtype=np.int64)[:, None]
    numerator = (segment * (clips + 1) + clip + 1) * num_frames
    return numerator // ((clips + 1) * frames) % num_frames


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


def _check_counts(num_frames: int, frames: int) -> None:
    if num_frames < 1:
        raise UsageError(f"num_frames is {num_frames}; a video has at least 1 frame")
    if frames < 1:
        raise UsageError(f"frames is {frames}; a clip has at least 1 frame")
