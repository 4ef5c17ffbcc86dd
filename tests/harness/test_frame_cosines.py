"""Cosines of frames that are widened by their bits."""

import numpy as np

from harness.frame_cosines import frame_cosines, widened
from harness.fusion import unit


def test_every_float16_is_widened_as_numpy_does():
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = np.isfinite(every)
    found = widened(every.reshape(256, 256)).ravel()
    np.testing.assert_array_equal(found[finite], every[finite].astype(np.float32))
    assert (np.signbit(found) == np.signbit(every)).all()
    assert (np.abs(found[~finite]) >= 65536).all()
    # Every other one, and of another order.
    np.testing.assert_array_equal(widened(every[:2000:2]), every[:2000:2].astype(np.float32))


def test_cosines_are_those_of_unit_vectors():
    generator = np.random.default_rng(0)
    frames = (generator.normal(size=(700, 32)) * generator.uniform(1e-3, 900, (700, 1))).astype(
        "f2"
    )
    queries = unit(generator.normal(size=(3, 32)))
    cosines, usable = frame_cosines(frames, queries)
    np.testing.assert_allclose(cosines, unit(frames) @ queries.T, atol=1e-6)
    assert usable.all()


def test_frames_that_are_none_are_told():
    frames = np.ones((600, 4), np.float16)
    frames[3], frames[301, 2], frames[599, 0] = 0, np.nan, -np.inf
    # Long, and finite.
    frames[400] = 65504
    _, usable = frame_cosines(frames, np.eye(4, dtype=np.float32))
    assert np.flatnonzero(~usable).tolist() == [3, 301, 599]
