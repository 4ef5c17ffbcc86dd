"""When a run and its follower share a frame cache, and what each keeps there for the other."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.support import video_table
from tests.vifistore.training.conftest import tiny_model
from vifistore.extract.extract_settings import EncodeSettings
from vifistore.frames.preprocess import preprocessing_of
from vifistore.frames.readers import Reader
from vifistore.store.dataset import write_videos
from vifistore.store.store import create_store
from vifistore.training.frame_reading import kept_by_steps
from vifistore.training.options import RunOptions
from vifistore.training.shared_frames import kept_by_follower, shares, what_is_read
from vifistore.training.training_settings import TrainSettings

SETTINGS = TrainSettings(num_frames=2, candidate_frames=4)
OPTIONS = RunOptions(frame_cache=Path("frames"))
ENCODE = EncodeSettings(frame_cache=Path("frames"))


@pytest.fixture
def store(tmp_path):
    """Datasets of the same videos, d and again, and of others."""
    store = create_store(tmp_path / "s.zarr")
    for name, root in (("d", "/videos"), ("again", "/videos"), ("others", "/elsewhere")):
        write_videos(store.new_dataset(name), video_table(3, ["a"]), ["a"], root)
    return store


def test_the_same_cache_decoder_and_videos_are_shared(store):
    assert shares(store.dataset("d"), OPTIONS, "d", ENCODE)
    assert shares(store.dataset("d"), OPTIONS, "again", ENCODE)
    assert not shares(store.dataset("d"), OPTIONS, "others", ENCODE)
    assert not shares(store.dataset("d"), RunOptions(), "d", ENCODE)
    for other in ({"frame_cache": None}, {"frame_cache": Path("own")}, {"decoder": "pyav"}):
        assert not shares(store.dataset("d"), OPTIONS, "d", replace(ENCODE, **other))


def test_a_follower_keeps_what_extractions_of_the_checkpoints_read():
    own = kept_by_follower(ENCODE, tiny_model(), SETTINGS)
    pixels = preprocessing_of("openclip", tiny_model().preprocess_config, 1)
    assert own == Reader(frames=2, preprocessing=pixels)
    paper = kept_by_follower(ENCODE, tiny_model(), replace(SETTINGS, preprocess="paper"))
    assert paper.preprocessing.name == "paper"
    given = kept_by_follower(replace(ENCODE, frames=8, clips=2, crops=3), tiny_model(), SETTINGS)
    assert (given.frames, given.clips, given.crops) == (8, 2, 3)


def test_a_run_tells_of_frames_that_it_keeps():
    pixels = preprocessing_of("openclip", tiny_model().preprocess_config, 1)
    said = what_is_read("d", "train", pixels, SETTINGS, OPTIONS)
    assert Reader.from_dict(said["kept"]) == kept_by_steps(pixels, SETTINGS)
    drawn = replace(SETTINGS, candidate_frames=0)
    for settings, options in ((drawn, OPTIONS), (SETTINGS, RunOptions())):
        assert what_is_read("d", "train", pixels, settings, options) == {}


@pytest.mark.parametrize(
    "change", [{"frames": 0}, {"frames": 10**9}, {"clips": "2"}, {"crops": True}, {"mean": 1}]
)
def test_what_a_file_says_of_frames_is_not_trusted(change):
    fields = asdict(Reader(frames=2, short_side=37)) | change
    with pytest.raises((ValueError, TypeError)):
        Reader.from_dict(fields)
