"""Bilinear resizing is OpenCV's, level for level."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.released import cv2_resize
from vifistore.kernels.opencv_linear import resize_linear


# SHA-256 of what cv2.resize made of this picture, the same in opencv-python 4.6.0 and 5.0.0:
# unchanged, grown, halved, shrunk along one axis and grown along the other, doubled.
@pytest.mark.parametrize(
    ("shape", "digest"),
    [
        ((37, 53), "ddbffc81c89b0da7"),
        ((61, 80), "e45f20468630f1e1"),
        ((18, 26), "4a21e3c86f475ec2"),
        ((61, 20), "db3718d6e0679a33"),
        ((74, 106), "1ea1f57817af047f"),
    ],
)
def test_levels_are_those_of_cv2(shape, digest):
    y, x, channel = np.mgrid[0:37, 0:53, 0:3]
    picture = ((7 * y * y + 5 * x * x + 3 * x * y + 91 * channel) % 256).astype(np.uint8)
    found = resize_linear(picture, shape)
    assert hashlib.sha256(found.tobytes()).hexdigest()[:16] == digest


@settings(deadline=None, max_examples=60)
@given(
    before=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    after=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_any_window_equals_the_restatement(before, after, seed, data):
    picture = np.random.default_rng(seed).integers(0, 256, (*before, 3), dtype=np.uint8)
    top, left = (data.draw(st.integers(0, length - 1)) for length in after)
    bottom, right = (
        data.draw(st.integers(start + 1, length))
        for start, length in zip((top, left), after, strict=True)
    )
    expected = cv2_resize(picture, after[1], after[0])
    np.testing.assert_array_equal(resize_linear(picture, after), expected)
    found = resize_linear(picture, after, (top, left, bottom, right))
    np.testing.assert_array_equal(found, expected[top:bottom, left:right])
