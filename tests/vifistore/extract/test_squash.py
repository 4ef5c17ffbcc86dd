"""Towers that see whole frames as squares: what is stored is what OpenCLIP's transform gives."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from vifistore.errors import UsageError
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.job import extract_dataset
from vifistore.frames.decoders.decoding import decode_video
from vifistore.models.checkpoint_files import CheckpointHeader
from vifistore.models.openclip_model import describe
from vifistore.models.registry import open_clip

SETTINGS = ExtractSettings(
    model="vifi-tiny", pretrained="none", frames=2, precision="fp32", device="cpu", workers=1
)


@pytest.fixture
def squashing(tiny):
    """The tiny model as one of SigLIP's tags would have it."""
    clip = copy.deepcopy(tiny.clip)
    own = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "resize_mode": "squash"}
    open_clip.set_model_preprocess_cfg(clip, {**open_clip.get_model_preprocess_cfg(clip), **own})
    fields = {"name": "squashing", "step": 0, "parent": "", "settings": {}}
    return describe(clip, CheckpointHeader(model="vifi-tiny", config=tiny.config, **fields))


@pytest.mark.parametrize("cached", [False, True])
def test_frames_are_those_of_openclip(store, squashing, tmp_path, cached):
    settings = replace(SETTINGS, frame_cache=tmp_path / "frames" if cached else None)
    report = extract_dataset(store.dataset("d"), settings, loaded=squashing)
    features = store.features("d", report.id)
    assert features.recipe["preprocessing"]["resize_mode"] == "squash"
    cfg = open_clip.transform.PreprocessCfg(**squashing.preprocess_config)
    transform = open_clip.transform.image_transform_v2(cfg, is_train=False)
    for row, path in enumerate(store.videos("d")["path"]):
        video = decode_video(store.dataset("d").root() / path, frames=2, clips=1, decoder="decord")
        frames = video.frames[video.index[0]]
        pixels = torch.stack([transform(Image.fromarray(frame)) for frame in frames])
        with torch.inference_mode():
            expected = squashing.clip.encode_image(pixels).numpy()
        found = features.read("frames", row, row + 1)[0, 0].astype(np.float32)
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)
    # Squares cut from the same frames are other entries of the cache, and another set.
    plain = replace(settings, resize_mode="shortest", name="plain")
    assert extract_dataset(store.dataset("d"), plain, loaded=squashing).id != report.id


def test_a_squashed_frame_has_no_crops(store, squashing):
    with pytest.raises(UsageError, match="give --crops 1"):
        extract_dataset(store.dataset("d"), replace(SETTINGS, crops=3), loaded=squashing)
    assert store.dataset("d").feature_ids() == []
