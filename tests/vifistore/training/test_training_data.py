"""What is kept in memory is drawn by the training rule, and changes by its own key alone."""

from dataclasses import replace

import pytest
import torch

from vifistore.errors import UsageError
from vifistore.training.order import Order
from vifistore.training.training_data import FrameData
from vifistore.training.training_settings import TrainSettings

SETTINGS = TrainSettings(num_frames=3, batch_size=4, flip=0.0, epochs=2, warmup_epochs=0)
CPU = torch.device("cpu")


def numbered(num_videos: int = 10, num_frames: int = 6) -> FrameData:
    """Pixels that say which video, frame and column they are: `video.frame + column / 1000`."""
    video = torch.arange(num_videos, dtype=torch.float32)[:, None, None, None, None]
    frame = torch.arange(num_frames, dtype=torch.float32)[None, :, None, None, None] / 10
    column = torch.arange(4, dtype=torch.float32) / 1000
    frames = (video + frame + column).expand(num_videos, num_frames, 3, 4, 4).contiguous()
    return FrameData(frames=frames, targets=torch.eye(num_videos))


def epoch_of(data: FrameData, settings: TrainSettings, first: int = 0):
    """Frames and targets of the three steps from `first` on."""
    order = Order(num_videos=len(data), settings=settings)
    batches = (batch for step in range(first, first + 3) for batch in order.step(step))
    views = list(data.views(batches, settings, CPU))
    return torch.cat([v.frames for v in views]), torch.cat([v.targets for v in views])


def test_an_epoch_has_every_video_once_with_its_own_target():
    frames, targets = epoch_of(numbered(), SETTINGS)
    videos = frames[:, 0, 0, 0, 0].floor()
    assert sorted(videos.tolist()) == list(range(10))
    assert torch.equal(targets.argmax(1), videos.long())


def test_frames_come_one_out_of_each_segment_and_others_the_next_time():
    frames, _ = epoch_of(numbered(), SETTINGS)
    numbers = ((frames[:, :, 0, 0, 0] % 1) * 10).round().long()
    # Six frames in three segments of two.
    assert torch.equal(numbers // 2, torch.arange(3).expand(10, 3))
    assert len(numbers.unique(dim=0)) > 1
    later, _ = epoch_of(numbered(), SETTINGS, first=3)
    assert not torch.equal(
        frames[frames[:, 0, 0, 0, 0].argsort()], later[later[:, 0, 0, 0, 0].argsort()]
    )


def test_the_seed_alone_decides():
    first, again = (epoch_of(numbered(), SETTINGS)[0] for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, epoch_of(numbered(), replace(SETTINGS, seed=1))[0])


def test_a_view_does_not_depend_on_what_it_is_batched_with():
    alone, _ = epoch_of(numbered(), replace(SETTINGS, flip=0.5, micro_batch=1))
    together, _ = epoch_of(numbered(), replace(SETTINGS, flip=0.5))
    assert torch.equal(alone, together)


@pytest.mark.parametrize(("flip", "least", "most"), [(0.0, 0, 0), (1.0, 10, 10), (0.5, 1, 9)])
def test_a_mirrored_view_is_mirrored_in_all_its_frames_and_the_data_stay(flip, least, most):
    data = numbered()
    before = data.frames.clone()
    frames, _ = epoch_of(data, replace(SETTINGS, flip=flip))
    falls = frames[..., 0] > frames[..., -1]
    mirrored = falls.flatten(1).any(1)
    assert torch.equal(mirrored, falls.flatten(1).all(1))
    assert least <= int(mirrored.sum()) <= most
    assert torch.equal(data.frames, before)


def test_mixing_is_drawn_anew_for_every_forward_pass():
    mixed, targets = epoch_of(numbered(), replace(SETTINGS, mixing=True))
    plain, _ = epoch_of(numbered(), SETTINGS)
    assert not torch.equal(mixed, plain)
    assert targets.sum(1).tolist() == pytest.approx([1.0] * 10)
    assert torch.equal(mixed, epoch_of(numbered(), replace(SETTINGS, mixing=True))[0])


def test_embeddings_are_neither_mirrored_nor_mixed():
    data = FrameData(frames=torch.arange(8.0).half().expand(10, 3, 8), targets=torch.ones(10, 1))
    frames, _ = epoch_of(data, replace(SETTINGS, flip=1.0, mixing=True))
    assert frames.dtype == torch.float32
    assert torch.equal(frames, data.frames.float())


def test_what_is_missing_is_left_out():
    data = replace(numbered(4), skipped={1: "gone", 2: "gone", 3: "gone"})
    settings = replace(SETTINGS, micro_batch=2)
    batches = Order(num_videos=4, settings=settings).step(0)
    views = list(data.views(batches, settings, CPU))
    assert sorted(0 if v is None else len(v.frames) for v in views) == [0, 1]


def test_what_wants_decoded_frames_is_refused():
    with pytest.raises(UsageError, match="leave out --in-memory"):
        epoch_of(numbered(), replace(SETTINGS, jitter=0.5))


@pytest.mark.parametrize("shape", [(2, 3, 32, 32), (3, 4, 8)])
def test_shapes_that_do_not_fit(shape):
    with pytest.raises(UsageError, match="do not fit"):
        FrameData(frames=torch.zeros(shape), targets=torch.ones(2, 1))
