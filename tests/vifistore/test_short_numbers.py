import math

import numpy as np
import pytest

from vifistore.short_numbers import shortest


@pytest.mark.parametrize("value", [5.22, 0.1, -0.49701208, 1e-30, 16777217.0, 3.4028235e38, 0.0])
def test_numbers_of_float32_have_the_digits_that_numpy_prints(value):
    held = np.float32(value)
    assert shortest(float(held)) == float(str(held))


def test_every_number_of_float32_reads_back():
    bits = np.random.default_rng(0).integers(0, 2**32, 5000, dtype=np.uint32)
    for held in bits.view(np.float32):
        if np.isfinite(held):
            assert np.float32(shortest(float(held))) == held


@pytest.mark.parametrize("value", [1 / 3, math.pi, 1e300, -1e-300, math.inf])
def test_any_other_number_stays(value):
    assert shortest(value) == value
    assert math.isnan(shortest(math.nan))
