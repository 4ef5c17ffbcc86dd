"""What checkpoints look at is drawn from the pixels and frames that each was trained on."""

import copy
from dataclasses import replace

import numpy as np

from vifistore.extract.frame_attention import common_frames, video_attention
from vifistore.frames.preprocess import preprocessing_of


def trained(tiny, frames: int, family: str = "openclip"):
    """The tiny model as if it had been trained so."""
    identity = replace(
        tiny.identity,
        sampling={"rule": "segment-centre", "frames": frames} if frames else {},
        preprocessing=preprocessing_of(family, tiny.preprocess_config, 1).for_identity(),
    )
    other = copy.copy(tiny)
    other.identity = identity
    return other


def test_frames_that_all_were_trained_with(tiny):
    eight, four, unknown = (trained(tiny, frames) for frames in (8, 4, 0))
    assert common_frames({"a": eight, "b": unknown}) == 8
    assert common_frames({"a": eight, "b": four}) == 0
    assert common_frames({"a": unknown}) == 0


def test_each_model_sees_the_pixels_of_its_training(tiny, clips):
    path = next(clips.rglob("*.mp4"))
    models = {"plain": tiny, "paper": trained(tiny, 0, "paper")}
    own = video_attention(path, models, frames=2).maps
    asked = video_attention(path, models, frames=2, preprocessing="paper").maps
    assert not np.allclose(own["plain"]["last"], own["paper"]["last"])
    np.testing.assert_array_equal(asked["plain"]["last"], asked["paper"]["last"])
    np.testing.assert_array_equal(own["paper"]["last"], asked["paper"]["last"])
