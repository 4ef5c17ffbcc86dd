"""Training reads every video once an epoch, frames in order, prepared as an extraction does."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vifi.demo.clips import draw_clip, write_mp4
from vifistore.errors import DecodeError, UsageError
from vifistore.frames.preprocess import preprocess
from vifistore.store.recipe import Preprocessing
from vifistore.training.data import FrameData, epoch_batches, read_videos
from vifistore.training.settings import TrainSettings
from vifistore.training.targets import one_hot

SETTINGS = TrainSettings(num_frames=3, batch_size=4, flip=0.0)


def numbered(num_videos: int = 10, num_frames: int = 6) -> FrameData:
    """Pixels that say which video, frame and column they are: `video.frame + column / 1000`."""
    video = torch.arange(num_videos, dtype=torch.float32)[:, None, None, None, None]
    frame = torch.arange(num_frames, dtype=torch.float32)[None, :, None, None, None] / 10
    column = torch.arange(4, dtype=torch.float32) / 1000
    frames = (video + frame + column).expand(num_videos, num_frames, 3, 4, 4).contiguous()
    return FrameData(frames=frames, targets=one_hot(torch.arange(num_videos), num_videos))


def all_views(data: FrameData, settings: TrainSettings, seed: int = 0):
    """Frames and targets of an epoch."""
    batches = list(epoch_batches(data, settings, np.random.default_rng(seed)))
    assert [len(frames) for frames, _ in batches] == [4, 4, 2]
    return torch.cat([frames for frames, _ in batches]), torch.cat([t for _, t in batches])


def test_an_epoch_has_every_video_once_with_its_own_target():
    frames, targets = all_views(numbered(), SETTINGS)
    videos = frames[:, 0, 0, 0, 0].floor()
    assert sorted(videos.tolist()) == list(range(10))
    assert torch.equal(targets.argmax(1), videos.long())


def test_frames_come_one_out_of_each_segment():
    frames, _ = all_views(numbered(), SETTINGS)
    numbers = ((frames[:, :, 0, 0, 0] % 1) * 10).round().long()
    # Six frames in three segments of two.
    assert torch.equal(numbers // 2, torch.arange(3).expand(10, 3))
    assert len(numbers.unique(dim=0)) > 1


def test_the_seed_alone_decides_the_order():
    first, again, other = (all_views(numbered(), SETTINGS, seed)[0] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(("flip", "least", "most"), [(0.0, 0, 0), (1.0, 10, 10), (0.5, 1, 9)])
def test_a_mirrored_view_is_mirrored_in_all_its_frames_and_the_data_stay(flip, least, most):
    data = numbered()
    before = data.frames.clone()
    frames, _ = all_views(data, replace(SETTINGS, flip=flip))
    falls = frames[..., 0] > frames[..., -1]
    mirrored = falls.flatten(1).any(1)
    assert torch.equal(mirrored, falls.flatten(1).all(1))
    assert least <= int(mirrored.sum()) <= most
    assert torch.equal(data.frames, before)


def test_embeddings_are_never_mirrored():
    data = FrameData(frames=torch.arange(8.0).expand(10, 6, 8), targets=torch.ones(10, 1))
    frames, _ = all_views(data, replace(SETTINGS, flip=1.0))
    assert torch.equal(frames, data.frames[:, :3])


@pytest.mark.parametrize("shape", [(2, 3, 32, 32), (3, 4, 8)])
def test_shapes_that_do_not_fit(shape):
    with pytest.raises(UsageError, match="do not fit"):
        FrameData(frames=torch.zeros(shape), targets=torch.ones(2, 1))


@pytest.fixture
def preprocessing() -> Preprocessing:
    return Preprocessing(
        name="openclip",
        size=32,
        short_side=32,
        interpolation="bicubic",
        antialias=True,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        backend="test",
    )


def test_videos_are_read_as_they_were_drawn(tmp_path, preprocessing):
    drawn = draw_clip("cross sliding sideways", split="train", number=0, seed=0)
    write_mp4(tmp_path / "c.mp4", drawn)
    data = read_videos(
        [tmp_path / "c.mp4"], [1], num_classes=3, num_frames=8, preprocessing=preprocessing
    )
    wanted = preprocess(torch.from_numpy(drawn[1::2].copy()), preprocessing, 1)[0]
    assert data.frames.shape == (1, 8, 3, 32, 32)
    assert data.targets.tolist() == [[0, 1, 0]]
    # What is lost is the encoder's; a neighbouring frame would be three times as far off.
    assert (data.frames[0] - wanted).abs().mean() < 0.1


def test_a_video_that_does_not_decode_is_named(tmp_path, preprocessing):
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    with pytest.raises(DecodeError, match=r"broken\.mp4"):
        read_videos(
            [tmp_path / "broken.mp4"], [0], num_classes=1, num_frames=2, preprocessing=preprocessing
        )
