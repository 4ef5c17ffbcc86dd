import numpy as np
import pytest

from vifistore.errors import DecodeError
from vifistore.frames.decoders.in_order import read_sequentially
from vifistore.frames.plans import FrameTimes, Plan, Sampling
from vifistore.frames.raw_frames import RawFrames, clean_seconds
from vifistore.frames.sampling import sample_indices


def stream_of(num_frames: int):
    for number in range(num_frames):
        yield (lambda n=number: np.full((2, 2, 3), n, np.uint8)), number / 10


def plan(num_frames: int) -> np.ndarray:
    return sample_indices(num_frames, 4)


def read(open_stream, expected: int) -> RawFrames:
    (raw,) = read_sequentially(
        open_stream,
        [Plan(sampling=Sampling(4))],
        expected=FrameTimes(np.arange(expected) / 10) if expected else None,
        declared_frames=expected,
        fps=10.0,
        decoder="test",
    )
    assert isinstance(raw, RawFrames)
    return raw


def test_a_stream_shorter_than_promised_is_planned_anew() -> None:
    raw = read(lambda: stream_of(12), expected=20)
    assert (raw.num_frames, raw.declared_frames) == (12, 20)
    assert raw.frames[raw.index][..., 0, 0, 0].tolist() == plan(12).tolist()
    assert raw.planned.seconds.tolist() == (plan(12) / 10).tolist()


def test_a_stream_longer_than_promised_is_planned_anew() -> None:
    raw = read(lambda: stream_of(12), expected=0)
    assert raw.num_frames == 12
    assert raw.frames[raw.index][..., 0, 0, 0].tolist() == plan(12).tolist()


def test_no_frame_is_short() -> None:
    with pytest.raises(DecodeError, match="none of its 9 frames") as caught:
        read(lambda: stream_of(0), expected=9)
    assert caught.value.reason == "short"


def test_a_stream_that_changes_between_reads_is_refused() -> None:
    lengths = iter([5, 7])
    with pytest.raises(DecodeError, match="another number of frames") as caught:
        read(lambda: stream_of(next(lengths)), expected=9)
    assert caught.value.reason == "decode error"


@pytest.mark.parametrize(
    ("seconds", "fps", "expected"),
    [
        ([2.0, 2.1, 2.5], 25.0, [0.0, 0.1, 0.5]),
        ([2.0, None, 2.5], 10.0, [0.0, 0.1, 0.2]),
        ([0.1, 0.3, 0.2], 10.0, [0.0, 0.1, 0.2]),
        ([0.0, 0.0, 0.0], 10.0, [0.0, 0.1, 0.2]),
        ([-3e17, float("nan"), 1.0], None, [0.0, 0.04, 0.08]),
    ],
    ids=["container times", "one missing", "decoding order", "standing still", "nothing known"],
)
def test_seconds_count_from_the_first_frame(seconds, fps, expected) -> None:
    np.testing.assert_allclose(clean_seconds(seconds, fps), expected, atol=1e-12)


def test_one_frame_is_at_zero() -> None:
    assert clean_seconds([7.0], 25.0).tolist() == [0.0]
