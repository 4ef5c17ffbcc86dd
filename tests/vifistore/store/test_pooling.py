"""The store's NumPy pooling is the kernels' reference."""

import numpy as np
import torch

from vifistore.kernels.temporal_pool import temporal_pool_reference
from vifistore.store.pooling import pool_views


def test_pooling_is_the_reference():
    frames = np.random.default_rng(0).normal(size=(5, 2, 7, 16)).astype(np.float16)
    frames[1, 0, 3] = 0
    expected = temporal_pool_reference(torch.from_numpy(frames))
    for got, reference in zip(pool_views(frames), expected, strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, reference.numpy(), atol=1e-6)
