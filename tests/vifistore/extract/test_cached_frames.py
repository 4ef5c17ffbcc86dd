"""With a cache of frames, a second checkpoint decodes nothing and gets the same numbers."""

import dataclasses

import numpy as np
import pytest

from tests.vifistore.extract.conftest import scan
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.job import extract_dataset
from vifistore.frames.processes.pool import DecodePool
from vifistore.models.checkpoint_files import CheckpointHeader, save_checkpoint
from vifistore.models.registry import model_config
from vifistore.models.skeletons import new_model
from vifistore.models.towers import load_model

SETTINGS = ExtractSettings(
    model="vifi-tiny", pretrained="none", frames=2, precision="fp32", device="cpu", workers=1
)


@pytest.mark.parametrize("preprocess", ["openclip", "paper"])
def test_the_second_checkpoint_decodes_nothing(tmp_path, clips, tiny, monkeypatch, preprocess):
    header = CheckpointHeader(
        model="vifi-tiny",
        config=model_config("vifi-tiny"),
        name="other",
        step=0,
        parent="",
        settings={},
    )
    file = tmp_path / "other.safetensors"
    save_checkpoint(file, new_model("vifi-tiny", seed=1).state_dict(), header)
    other = load_model("vifi-tiny", str(file))
    plain = dataclasses.replace(SETTINGS, preprocess=preprocess)
    cached = dataclasses.replace(plain, frame_cache=tmp_path / "frames")
    store = scan(tmp_path / "plain.zarr", clips)
    expected = [extract_dataset(store.dataset("d"), plain, loaded=model) for model in (tiny, other)]
    again = scan(tmp_path / "cached.zarr", clips)
    reports = [extract_dataset(again.dataset("d"), cached, loaded=tiny)]
    assert reports[0].figures["worker_decode_seconds"] > 0

    def unexpected(self, path, draw=None):
        raise AssertionError(f"{path} is decoded")

    monkeypatch.setattr(DecodePool, "submit", unexpected)
    reports.append(extract_dataset(again.dataset("d"), cached, loaded=other))
    assert reports[1].encoded == 6
    for found, wanted in zip(reports, expected, strict=True):
        assert found.id == wanted.id
        for name in ("frames", "view_mean", "timestamps", "content_digest"):
            np.testing.assert_array_equal(
                again.features("d", found.id).read(name), store.features("d", wanted.id).read(name)
            )
