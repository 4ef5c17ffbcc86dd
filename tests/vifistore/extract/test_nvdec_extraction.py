"""An extraction whose videos a GPU decodes beside the CPU, with a stand-in for the GPU."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.vifistore.extract.sets import SETTINGS
from vifistore.errors import UsageError
from vifistore.extract import recipes
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.job import extract_dataset
from vifistore.frames.gpu import nvdec
from vifistore.frames.gpu.gpu_decoders import GpuDecoders
from vifistore.store import open_store
from vifistore.store.verifying.verify import verify_store

STAND_IN = Path(__file__).parents[1] / "frames/stand_in_gpu"
WANTED = replace(SETTINGS, decoder="torchcodec-cuda", name="on-gpu")


@pytest.fixture
def _gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose GPU is the CPU."""
    monkeypatch.syspath_prepend(str(STAND_IN))
    monkeypatch.setattr(recipes, "check_nvdec", lambda device_type: None)
    monkeypatch.setattr(nvdec, "version", lambda name: "0.17.0")
    # So that the process is there for the first video, as it is for most of a usual run.
    monkeypatch.setattr(GpuDecoders, "warm_up", lambda self: None)


@pytest.mark.usefixtures("_gpu")
def test_its_set_is_one_of_its_own_and_says_what_read_each_video(store, tiny):
    plain = extract_dataset(store.dataset("d"), replace(SETTINGS, decoder="pyav"), loaded=tiny)
    report = extract_dataset(store.dataset("d"), WANTED, loaded=tiny)
    assert (report.encoded, report.quarantined, report.sealed) == (6, 0, True)
    assert report.id != plain.id
    assert list(verify_store(open_store(store.path))) == []
    features = open_store(store.path).features("d", "on-gpu")
    assert features.recipe["decoder"] == "torchcodec-cuda"
    assert features.recipe["decoder_version"].startswith("0.17.0+av")
    readers = np.array(features.readers())
    assert "torchcodec-cuda by-number" in readers
    frames = features.read("frames").astype(np.float32)
    expected = open_store(store.path).features("d", plain.name).read("frames").astype(np.float32)
    is_same = [np.array_equal(*pair) for pair in zip(frames, expected, strict=True)]
    # The stand-in's levels are others than the CPU's.
    assert is_same == [reader.startswith("pyav") for reader in readers]


def test_without_a_gpu_it_is_refused_before_anything_is_written(store, tiny):
    with pytest.raises(UsageError, match="the device is cpu; give --decoder decord or pyav"):
        extract_dataset(store.dataset("d"), WANTED, loaded=tiny)
    # Nor is a model loaded for it.
    with pytest.raises(UsageError, match="the device is cpu; give --decoder decord or pyav"):
        extract_dataset(store.dataset("d"), replace(WANTED, model="there-is-none"))
    assert store.dataset("d").feature_ids() == []


def test_a_frame_cache_holds_none_of_its_frames(tmp_path):
    with pytest.raises(UsageError, match="--frame-cache keeps what CPU cores decode"):
        ExtractSettings(model="m", decoder="torchcodec-cuda", frame_cache=tmp_path)
