"""Which frames of which stretch, by time, of made-up times of frames."""

import numpy as np
import pytest

from vifistore.errors import DecodeError, UsageError
from vifistore.frames.plans import NEVER, FrameTimes, Plan, Planned, Sampling, Span
from vifistore.frames.sampling import sample_at_rate, sample_indices, sample_training_indices

STEADY = FrameTimes(np.arange(250) / 25)
# Ten frames in the first second, then one a second, and a still picture from 5 to 9.
VARIABLE = FrameTimes(np.array([*np.arange(10) / 10, 1, 2, 3, 4, 5, 9.0]))


def planned(times: FrameTimes, span: tuple[float, float] = (0, np.inf), **sampling) -> Planned:
    sampling = {"frames": 1000} | sampling
    return Plan(sampling=Sampling(**sampling), span=Span(*span))(times)


def test_at_a_rate_frames_are_those_shown_in_the_middle_of_each_interval():
    found = planned(STEADY, fps=1)
    np.testing.assert_allclose(found.seconds, [np.arange(10) + 0.5])
    assert found.numbers.tolist() == [[12, 37, 62, 87, 112, 137, 162, 187, 212, 237]]
    assert (found.left_out, found.stop) == (0, NEVER)


def test_a_variable_rate_goes_by_time_and_not_by_index():
    found = planned(VARIABLE, fps=1)
    assert found.numbers.tolist() == [[5, 10, 11, 12, 13, 14, 14, 14, 14, 15]]
    np.testing.assert_allclose(found.seconds, [np.arange(10) + 0.5])


def test_moments_do_not_depend_on_where_a_longer_stretch_ends():
    short, long = planned(STEADY, (2, 5), fps=2), planned(STEADY, (2, 9), fps=2)
    assert short.numbers.tolist()[0] == long.numbers.tolist()[0][:6]
    np.testing.assert_allclose(short.seconds, [np.arange(6) / 2 + 2.25])
    assert short.stop == 125


def test_a_stretch_that_is_still_shows_the_frame_of_before():
    assert planned(VARIABLE, (6, 8), fps=1).numbers.tolist() == [[14, 14]]


@pytest.mark.parametrize(
    ("sampling", "shape"),
    [({"every": 3}, (1, 1)), ({"frames": 4}, (1, 4)), ({"frames": 2, "clips": 3}, (3, 2))],
)
def test_so_it_does_where_a_number_of_frames_is_asked_for(sampling, shape):
    """As of a lecture, whose slides are one frame each."""
    found = planned(VARIABLE, (6, 8), **sampling)
    assert found.numbers.tolist() == np.full(shape, 14).tolist()
    assert found.seconds.tolist() == np.full(shape, 6.0).tolist()
    assert found.stop == 15
    drawn = Plan(sampling=Sampling(5), span=Span(6, 8), draw=[1])(VARIABLE)
    assert drawn.numbers.tolist() == [[14] * 5]
    with pytest.raises(DecodeError, match="no frame from 6 to 6 seconds"):
        planned(VARIABLE, (6, 6), **sampling)


def test_what_is_too_short_for_its_rate_has_one_frame():
    found = planned(STEADY, (9.6, 9.8), fps=1)
    assert (found.numbers.tolist(), found.seconds.tolist()) == ([[242]], [[pytest.approx(9.7)]])
    # The last frame ends at 10 seconds.
    assert planned(STEADY, (9, 100), fps=1).seconds.tolist() == [[9.5]]


def test_a_moment_on_the_border_of_two_frames_is_of_the_later():
    times = FrameTimes(np.array([number * 0.04 + 1e-15 for number in range(20)]))
    assert planned(times, fps=12.5).numbers.tolist() == [[1, 3, 5, 7, 9, 11, 13, 15, 17, 19]]


def test_there_are_never_more_than_there_is_room_for():
    found = planned(STEADY, fps=1e12, frames=7)
    assert found.numbers.shape == (1, 7)
    assert found.left_out == 10 * 10**12 - 7
    assert planned(STEADY, every=10, frames=7).left_out == 18
    for fps in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(UsageError, match="positive number"):
            sample_at_rate(0, 1, fps, 4)


def test_every_nth_is_counted_from_the_start_of_the_file():
    assert planned(STEADY, (1, 2), every=10).numbers.tolist() == [[30, 40]]
    assert planned(STEADY, (1, 2), every=10).seconds.tolist() == [[1.2, 1.6]]
    # None of them lies in it: its first.
    assert planned(STEADY, (1, 1.1), every=100).numbers.tolist() == [[25]]


@pytest.mark.parametrize("sampling", [{"frames": 8}, {"frames": 4, "clips": 3}])
def test_a_number_of_frames_is_spread_over_the_stretch(sampling):
    found = planned(STEADY, (4, 6), **sampling)
    np.testing.assert_array_equal(found.numbers, 100 + sample_indices(50, **sampling))
    np.testing.assert_array_equal(found.seconds, found.numbers / 25)
    windows = planned(STEADY, (4, 6), **sampling, stride=2)
    np.testing.assert_array_equal(windows.numbers, 100 + sample_indices(50, **sampling, stride=2))


def test_a_random_clip_is_drawn_of_the_stretch():
    plan = Plan(sampling=Sampling(8), span=Span(4, 6), draw=[1, 2])
    expected = 100 + sample_training_indices(50, 8, np.random.default_rng([1, 2]))
    assert plan(STEADY).numbers.tolist() == [expected.tolist()]
    both = Plan(sampling=Sampling(8), span=Span(4, 6), draw=[1, 2], also=[Sampling(2, 2)])
    further = 100 + sample_indices(50, 2, 2).ravel()
    assert both(STEADY).numbers.tolist() == [[*expected, *further]]


def test_a_frame_is_of_one_of_two_stretches_that_touch():
    spans = [(0, 3), (3, 6), (6, np.inf)]
    parts = [planned(STEADY, span, every=1).numbers[0].tolist() for span in spans]
    assert [number for part in parts for number in part] == list(range(250))
    assert [part[0] for part in parts] == [0, 75, 150]


@pytest.mark.parametrize("sampling", [{"fps": 1.0}, {"every": 2}, {}])
def test_a_stretch_behind_the_end_has_no_frame(sampling):
    with pytest.raises(DecodeError, match=r"no frame from 10 to 12 .* ends at 10") as caught:
        planned(STEADY, (10, 12), **sampling)
    assert caught.value.reason == "short"
