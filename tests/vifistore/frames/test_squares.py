"""Squares are Pillow's own, and workers cut the same ones as this process does."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vifistore.errors import UsageError
from vifistore.frames.decoders.decoding import decode_video
from vifistore.frames.decoders.kept import Keep
from vifistore.frames.plans import Sampling
from vifistore.frames.processes.pool import DecodePool
from vifistore.frames.processes.worker_settings import WorkerSettings
from vifistore.frames.squares import Squares
from vifistore.kernels.geometry import crop_corners, is_height_first, resized_shape


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(8, 90),
    width=st.integers(8, 90),
    short_side=st.integers(16, 40),
    crops=st.sampled_from([1, 3]),
    seed=st.integers(0, 99),
)
def test_they_are_cut_from_the_resized_frame(height, width, short_side, crops, seed):
    frames = np.random.default_rng(seed).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    squares = Squares(size=16, short_side=short_side, interpolation="bicubic", crops=crops)
    found = squares.cut(frames)
    after = resized_shape(height, width, short_side)
    assert (found.shape, found.dtype) == ((crops, 2, 16, 16, 3), np.uint8)
    if is_height_first((height, width), after):
        return  # Pillow before 13 takes the other axis first
    for number, frame in enumerate(frames):
        image = Image.fromarray(frame).resize(after[::-1], Image.Resampling.BICUBIC)
        for crop, (top, left) in enumerate(crop_corners(*after, 16, crops)):
            wanted = np.asarray(image)[top : top + 16, left : left + 16]
            np.testing.assert_array_equal(found[crop, number], wanted)


@pytest.mark.parametrize("shape", [(40, 71), (50, 30), (9, 11)], ids=str)
def test_the_whole_frame_is_squashed(shape):
    frames = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), dtype=np.uint8)
    sizes = {"size": 16, "short_side": 16, "interpolation": "bilinear"}
    (found,) = Squares(**sizes, crops=1, resize_mode="squash").cut(frames)
    for square, frame in zip(found, frames, strict=True):
        whole = Image.fromarray(frame).resize((16, 16), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(square, np.asarray(whole))


def test_a_square_that_does_not_fit():
    squares = Squares(size=32, short_side=16, interpolation="bicubic", crops=1)
    with pytest.raises(UsageError, match="a crop of 32 does not fit"):
        squares.cut(np.zeros((1, 40, 40, 3), np.uint8))


def test_workers_cut_them(videos: dict[str, Path]) -> None:
    squares = Squares(size=16, short_side=20, interpolation="bilinear", crops=3)
    sampling = {"frames": 4, "clips": 1, "decoder": "pyav"}
    path = videos["h264.mp4"]
    with DecodePool(1, **sampling, squares=squares, niceness=5) as pool:
        ((_, video),) = pool.decode([(0, path)])
    whole = decode_video(path, **sampling)
    np.testing.assert_array_equal(video.frames, np.concatenate(squares.cut(whole.frames)))
    assert (video.width, video.height) == (whole.width, whole.height)
    assert video.decode_seconds > 0
    assert video.cut_seconds > 0


@pytest.mark.parametrize(
    "squares",
    [
        None,
        Squares(size=8, short_side=9, interpolation="bicubic", crops=1, resize_mode="squash"),
        Squares(size=8, short_side=9, interpolation="bilinear", crops=3, backend="opencv-exact"),
    ],
)
def test_settings_reach_the_worker(squares):
    keep = Keep(squares=squares, only_large=True)
    wanted = WorkerSettings(
        sampling=Sampling(3, 2, 0, 1.5, 0), decoder="pyav", keep=keep, niceness=7, max_bytes=10**10
    )
    assert WorkerSettings.from_json(wanted.to_json()) == wanted
