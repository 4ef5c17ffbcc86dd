import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vifistore.errors import UsageError
from vifistore.frames.sampling import sample_indices, sample_training_indices

counts = st.integers(1, 5000)
clip_lengths = st.integers(1, 64)


@settings(deadline=None, max_examples=50)
@given(num_frames=counts, frames=clip_lengths)
def test_one_clip_follows_the_papers_test_rule(num_frames: int, frames: int) -> None:
    expected = [math.floor((i + 0.5) * num_frames / frames) % num_frames for i in range(frames)]
    assert sample_indices(num_frames, frames).tolist() == [expected]


@settings(deadline=None, max_examples=50)
@given(num_frames=counts, frames=clip_lengths, clips=st.integers(1, 8))
def test_each_clip_takes_one_frame_of_each_segment(
    num_frames: int, frames: int, clips: int
) -> None:
    indices = sample_indices(num_frames, frames, clips)
    assert indices.shape == (clips, frames)
    assert indices.dtype == np.int64
    segment = indices * frames // num_frames
    if num_frames >= frames:
        assert (np.diff(indices, axis=0) >= 0).all()
        # A frame that straddles a border begins in the segment before.
        assert (np.abs(segment - np.arange(frames)) <= 1).all()
    assert ((indices >= 0) & (indices < num_frames)).all()


def test_short_videos_repeat_frames_and_clips_differ() -> None:
    assert sample_indices(3, 6).tolist() == [[0, 0, 1, 1, 2, 2]]
    assert sample_indices(60, 3, clips=2).tolist() == [[6, 26, 46], [13, 33, 53]]


@settings(deadline=None, max_examples=50)
@given(num_frames=counts, frames=clip_lengths, seed=st.integers(0, 99))
def test_training_draws_one_frame_from_each_segment(
    num_frames: int, frames: int, seed: int
) -> None:
    indices = sample_training_indices(num_frames, frames, np.random.default_rng(seed))
    again = sample_training_indices(num_frames, frames, np.random.default_rng(seed))
    assert indices.tolist() == again.tolist()
    length = num_frames // frames
    if length:
        assert (indices // length == np.arange(frames)).all()
    else:
        expected = [round(i * num_frames / frames) % num_frames for i in range(frames)]
        assert indices.tolist() == expected


def test_windows_lie_in_the_middle_of_equal_stretches() -> None:
    assert sample_indices(40, 4, stride=3).tolist() == [[15, 18, 21, 24]]
    assert sample_indices(40, 4, clips=2, stride=3).tolist() == [[5, 8, 11, 14], [25, 28, 31, 34]]
    assert sample_indices(4, 4, stride=1).tolist() == [[0, 1, 2, 3]]
    # Near the ends they are shifted; what a short video has not is its first and last frame.
    assert sample_indices(10, 4, clips=2, stride=2).tolist() == [[0, 2, 4, 6], [3, 5, 7, 9]]
    assert sample_indices(5, 4, stride=3).tolist() == [[0, 0, 3, 4]]


@settings(deadline=None, max_examples=50)
@given(num_frames=counts, frames=clip_lengths, clips=st.integers(1, 5), stride=st.integers(1, 40))
def test_windows_are_of_frames_so_far_apart(
    num_frames: int, frames: int, clips: int, stride: int
) -> None:
    indices = sample_indices(num_frames, frames, clips, stride)
    assert ((indices >= 0) & (indices < num_frames)).all()
    if (frames - 1) * stride < num_frames:
        assert (np.diff(indices, axis=1) == stride).all()
        middles = (indices[:, 0] + indices[:, -1]) / 2
        wanted = (2 * np.arange(clips) + 1) * num_frames / (2 * clips) - 0.5
        is_shifted = (indices[:, 0] == 0) | (indices[:, -1] == num_frames - 1)
        assert (is_shifted | (np.abs(middles - wanted) <= 1)).all()
    else:
        assert (np.diff(indices, axis=1) >= 0).all()


def test_training_draws_each_segment_by_itself() -> None:
    generator = np.random.default_rng(0)
    draws = np.stack([sample_training_indices(40, 4, generator) % 10 for _ in range(50)])
    assert (draws != draws[:, :1]).any(axis=1).mean() > 0.9


def test_training_repeats_rounded_frames_of_a_short_video() -> None:
    # i * 3 / 8 is 0, .375, .75, 1.125, 1.5, 1.875, 2.25, 2.625; halves go to the even number.
    drawn = sample_training_indices(3, 8, np.random.default_rng(0))
    assert drawn.tolist() == [0, 0, 1, 1, 2, 2, 2, 0]


def test_training_reaches_every_frame_of_the_segments() -> None:
    generator = np.random.default_rng(0)
    draws = np.stack([sample_training_indices(17, 4, generator) for _ in range(200)])
    # 17 frames make four segments of 4: frame 16 is never drawn.
    assert set(draws.ravel().tolist()) == set(range(16))


@pytest.mark.parametrize(("num_frames", "frames", "clips"), [(0, 8, 1), (8, 0, 1), (8, 8, 0)])
def test_counts_below_one_are_refused(num_frames: int, frames: int, clips: int) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        sample_indices(num_frames, frames, clips)
