import numpy as np
import pytest

from harness.fusion import unit


@pytest.fixture
def blobs():
    """Unit vectors [video dim] around three directions, and their labels."""

    def make(noise=0.5, num_videos=90, seed=0):
        generator = np.random.default_rng(seed)
        labels = np.arange(num_videos) % 3
        centres = np.random.default_rng(9).normal(size=(3, 12))
        return unit(centres[labels] + noise * generator.normal(size=(num_videos, 12))), labels

    return make


@pytest.fixture
def two_sets(make_store):
    """A store with a noisy and a clean feature set of 72 videos, two of them quarantined."""

    def make(**settings):
        maker = make_store(num_videos=72, num_classes=3, **settings)
        status = np.ones(72, np.uint8)
        status[[5, 9]] = 2
        maker.features(maker.frames(noise=6.0, num_views=2), name="vanilla")
        maker.features(maker.frames(noise=1.0), name="tuned", status=status)
        return maker

    return make
