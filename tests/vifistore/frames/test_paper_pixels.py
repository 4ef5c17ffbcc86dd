"""`paper` preprocessing is the released code's, level for level, on every way to compute it."""

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.released import normalised, scored_squares
from vifistore.errors import DecodeError, UnknownNameError, UsageError
from vifistore.frames.decoders.decoding import decode_video
from vifistore.frames.preprocess import normalise, preprocess, preprocessing_of, squares_of
from vifistore.frames.processes.pool import DecodePool
from vifistore.kernels.preprocess_frames import preprocess_frames_reference
from vifistore.kernels.resampling import crop_taps

TOWER = {"size": (32, 32)}
VIT = {"size": 224}


def by_reference(frames: np.ndarray, crops: int) -> torch.Tensor:
    """Pixels [crop frame 3 32 32] by the kernel's reference."""
    recipe = preprocessing_of("paper", TOWER, crops)
    shape = (*frames.shape[1:3], recipe.size, recipe.short_side, "bilinear", False, crops)
    taps = crop_taps(*shape, torch.device("cpu"), recipe.backend)
    wanted = (torch.from_numpy(frames), taps, recipe.mean, recipe.std, torch.float32)
    return preprocess_frames_reference(*wanted)


@settings(deadline=None, max_examples=60)
@given(
    height=st.integers(3, 120),
    width=st.integers(3, 120),
    crops=st.sampled_from([1, 3]),
    seed=st.integers(0, 99),
)
def test_every_path_equals_the_released_code(height, width, crops, seed):
    frames = np.random.default_rng(seed).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    expected = np.stack([scored_squares(frame, 32, crops) for frame in frames], axis=1)
    recipe = preprocessing_of("paper", TOWER, crops)
    np.testing.assert_array_equal(squares_of(recipe, crops).cut(frames), expected)
    pixels = preprocess(torch.from_numpy(frames), recipe, crops)
    assert torch.equal(pixels, normalise(torch.from_numpy(expected), recipe))
    assert torch.equal(by_reference(frames, crops), pixels)
    # Normalised as mmcv does it, which multiplies by the reciprocal.
    np.testing.assert_allclose(pixels.numpy(), normalised(expected), atol=2e-6)


def test_workers_cut_the_same(videos: dict[str, Path]) -> None:
    sampling = {"frames": 4, "clips": 1, "decoder": "pyav"}
    squares = squares_of(preprocessing_of("paper", TOWER, 3), 3)
    with DecodePool(1, **sampling, squares=squares) as pool:
        ((_, video),) = pool.decode([(0, videos["h264.mp4"])])
    whole = decode_video(videos["h264.mp4"], **sampling).frames
    expected = np.stack([scored_squares(frame, 32, 3) for frame in whole], axis=1)
    np.testing.assert_array_equal(video.frames, np.concatenate(expected))


def test_what_opencv_does_not_do_is_refused():
    recipe = preprocessing_of("paper", TOWER, 1)
    frames = torch.zeros(1, 40, 40, 3, dtype=torch.uint8)
    for wrong in ({"interpolation": "bicubic"}, {"antialias": True}):
        with pytest.raises(UsageError, match="opencv-exact resizes bilinear without antialias"):
            preprocess(frames, replace(recipe, **wrong), 1)
    with pytest.raises(UnknownNameError, match="'opencv-exact'"):
        preprocess(frames, replace(recipe, backend="opencv-exakt"), 1)


# Centre crops and sides of the three crops that other rounding gives other pixels.
@pytest.mark.parametrize(
    "shape", [(1080, 1920), (240, 432), (320, 426), (720, 406), (240, 320)], ids=str
)
def test_shapes_of_real_clips(shape):
    compare(np.random.default_rng(0).integers(0, 256, (1, *shape, 3), dtype=np.uint8))


@pytest.mark.shared
def test_every_size_of_real_clips_equals_the_released_code(shared):
    """The smallest file of each size, which is read fastest."""
    pytest.importorskip("av")
    clips = pd.read_csv(shared / "videos" / "manifest.tsv", sep="\t").dropna(subset=["w", "h"])
    compared = set()
    for clip in clips.sort_values("bytes").itertuples():
        if (clip.w, clip.h) in compared:
            continue
        with contextlib.suppress(DecodeError):
            path = shared / "videos" / clip.file
            compare(decode_video(path, frames=1, clips=1, decoder="pyav").frames)
            compared.add((clip.w, clip.h))
    assert len(compared) > 30


def compare(frames: np.ndarray) -> None:
    """Hold squares for a tower of 224 against the released code's."""
    for crops in (1, 3):
        found = squares_of(preprocessing_of("paper", VIT, crops), crops).cut(frames)
        expected = np.stack([scored_squares(frame, 224, crops) for frame in frames], axis=1)
        np.testing.assert_array_equal(found, expected)
