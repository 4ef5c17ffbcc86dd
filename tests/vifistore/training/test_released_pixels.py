"""Under `--paper-exact` training sees the released code's pixels, level for level."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.released import grayed, jittered, multi_scale_box, training_crop
from tests.vifistore.extract.conftest import write_clip
from vifistore.frames.decoders.decoding import decode_video
from vifistore.frames.preprocess import normalise, preprocessing_of
from vifistore.frames.sampling import sample_training_indices
from vifistore.sources.footage import LocalFile
from vifistore.training.augment import draw_box
from vifistore.training.options import RunOptions
from vifistore.training.order import Draws, Order, stream
from vifistore.training.presets import few_shot
from vifistore.training.training_settings import TrainSettings
from vifistore.training.videos import VideoSource

CPU = torch.device("cpu")
OPTIONS = RunOptions(decoder="pyav", workers=1)
TOWER = {
    "mean": (0.5, 0.5, 0.5),
    "std": (0.25, 0.25, 0.25),
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
SCALES = (1.0, 0.875, 0.75, 0.66)
SETTINGS = replace(
    few_shot(paper_exact=True),
    **{"num_frames": 4, "batch_size": 1, "micro_batch": 1, "epochs": 12, "warmup_epochs": 0.0},
    mixing=False,
)


def released_view(path: Path, size: int, settings: TrainSettings, epoch: int) -> np.ndarray:
    """Levels [frame size size 3] that the released code makes of the draws of video 0."""
    rng = stream(Draws.FRAMES, settings.seed, epoch, 0)
    whole = decode_video(path, frames=1, clips=1, decoder="pyav").num_frames
    decoded = decode_video(path, frames=whole, clips=1, decoder="pyav")
    chosen = sample_training_indices(whole, settings.num_frames, rng)
    rng = stream(Draws.PIXELS, settings.seed, epoch, 0)
    pair, place = rng.integers(10), rng.integers(5)
    frames = [training_crop(decoded.frames[i], size, pair, place) for i in chosen]
    if rng.random() < 0.8:
        order = rng.permuted(np.tile(np.arange(4), (len(frames), 1)), axis=1)
        spread = np.array([0.4, 0.4, 0.2, 0.1])
        factors = rng.uniform(-spread, spread, (len(frames), 4)) + np.array([1, 1, 1, 0])
        frames = [jittered(*each) for each in zip(frames, order, factors, strict=True)]
    if rng.random() < 0.2:
        frames = [grayed(frame) for frame in frames]
    frames = np.stack(frames)
    return frames[:, :, ::-1] if rng.random() < 0.5 else frames


def views_of(
    path: Path,
    size: int,
    settings: TrainSettings,
    options: RunOptions = OPTIONS,
    name: str = "paper",
    first: int = 0,
) -> list[torch.Tensor]:
    """The view of every epoch from `first` on, float32 [frame 3 size size]."""
    source = VideoSource(
        files=[LocalFile(path)],
        targets=torch.ones(1, 1),
        preprocessing=preprocessing_of(name, TOWER | {"size": size}, 1),
        options=options,
    )
    batches = Order(num_videos=1, settings=settings).from_step(first, 0)
    return [found.frames[0] for found in source.views(batches, settings, CPU)]


def check(path: Path, size: int, settings: TrainSettings) -> None:
    """Hold the views of all epochs against the released code's."""
    preprocessing = preprocessing_of("paper", {"size": size}, 1)
    for epoch, view in enumerate(views_of(path, size, settings)):
        levels = torch.from_numpy(released_view(path, size, settings, epoch).copy())
        assert torch.allclose(view, normalise(levels, preprocessing), atol=1e-5), epoch


# Frames that shrink and that grow to the short side of 36, wide and high.
@pytest.mark.parametrize("size", [(90, 52), (40, 24), (30, 46)], ids=str)
def test_views_are_the_released_code_s(tmp_path, size):
    write_clip(tmp_path / "clip.mp4", seed=1, size=size)
    check(tmp_path / "clip.mp4", 32, SETTINGS)


def test_the_cache_keeps_frames_of_their_own_size(tmp_path):
    path, options = tmp_path / "clip.mp4", replace(OPTIONS, frame_cache=tmp_path / "frames")
    write_clip(path, seed=2, size=(90, 52))
    settings = replace(SETTINGS, candidate_frames=8)
    plain = views_of(path, 28, settings)
    # Of one size for both, but an entry of this one is not read as that of the other.
    views_of(path, 28, settings, options, name="openclip")
    for _ in range(2):
        cached = views_of(path, 28, settings, options)
        assert all(torch.equal(*pair) for pair in zip(cached, plain, strict=True))
    assert len(list((tmp_path / "frames").glob("*/*.frames"))) == 2


def test_a_run_that_goes_on_sees_the_same(tmp_path):
    path = tmp_path / "clip.mp4"
    write_clip(path, seed=3, size=(52, 90))
    whole, rest = (views_of(path, 32, SETTINGS, first=first) for first in (0, 7))
    assert all(torch.equal(*pair) for pair in zip(whole[7:], rest, strict=True))


@pytest.mark.parametrize(
    ("shape", "size"), [((256, 341), 224), ((256, 455), 224), ((274, 490), 240), ((9, 12), 8)]
)
def test_boxes_are_those_of_multi_scale_crop(shape, size):
    """All ten sizes at all five places, each as often."""
    rng = np.random.default_rng(0)
    drawn = Counter(draw_box(*shape, SCALES, rng, released_size=size) for _ in range(10_000))
    wanted = Counter()
    for pair in range(10):
        for place in range(5):
            left, top, width, height = multi_scale_box(*shape, size, pair, place)
            wanted[top, left, height, width] += 200
    assert drawn.keys() == wanted.keys()
    # Within six standard deviations, 14 for 200.
    assert all(abs(drawn[box] - wanted[box]) < 6 * wanted[box] ** 0.5 for box in wanted)


def test_at_240_pixels_the_smallest_side_is_168():
    """The first resizing makes frames larger, too: two thirds of 240 would be 158."""
    assert multi_scale_box(256, 341, 224, 9, 0) == (0, 0, 168, 168)


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    [
        "hmdb51/wave/TrumanShow_wave_f_nm_np1_fr_med_26.avi",
        "k400/cleaning_pool/mmaction2_part_0.mp4",
        "ucf101/Archery/v_Archery_g09_c02.avi",
    ],
)
def test_views_of_real_clips_are_the_released_code_s(shared, name):
    check(shared / "videos" / "action" / name, 224, replace(SETTINGS, epochs=2, num_frames=2))
