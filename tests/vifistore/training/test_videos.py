"""Videos are read as they were drawn, the same way every time, whoever decodes them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from vifi.demo.clips import draw_clip, write_mp4
from vifistore.frames.decoders.decoding import decode_video, decoder_version
from vifistore.frames.digests import content_digest
from vifistore.frames.frame_cache import FrameCache
from vifistore.frames.preprocess import preprocess, preprocessing_of
from vifistore.frames.processes import together
from vifistore.frames.sampling import sample_training_indices
from vifistore.sources.footage import LocalFile
from vifistore.training.augment import augment
from vifistore.training.frame_reading import kept_by_steps
from vifistore.training.options import RunOptions
from vifistore.training.order import Draws, Order, stream
from vifistore.training.training_settings import TrainSettings
from vifistore.training.videos import VideoSource, in_memory

TOWER = {
    "size": (32, 32),
    "mean": (0.5, 0.5, 0.5),
    "std": (0.25, 0.25, 0.25),
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
CPU = torch.device("cpu")
SETTINGS = TrainSettings(
    num_frames=3, batch_size=2, flip=0.0, epochs=2, warmup_epochs=0, candidate_frames=6
)
OPTIONS = RunOptions(decoder="pyav", workers=1)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Four clips, the third of which is no video."""
    folder = tmp_path_factory.mktemp("clips")
    paths = [folder / f"{number}.mp4" for number in range(4)]
    for number, path in enumerate(paths):
        write_mp4(path, draw_clip("cross sliding sideways", split="train", number=number, seed=0))
    paths[2].write_bytes(b"not a video")
    return paths


def source_of(clips, options=OPTIONS, name="openclip") -> VideoSource:
    return VideoSource(
        files=list(map(LocalFile, clips)),
        targets=torch.eye(4),
        preprocessing=preprocessing_of(name, TOWER, 1),
        options=options,
    )


def views_of(source, settings, first=0) -> dict[int, torch.Tensor]:
    """The view of every video in the epoch that begins at step `first`."""
    order = Order(num_videos=4, settings=settings)
    batches = [batch for step in range(first, first + 2) for batch in order.step(step)]
    found = {}
    for views in source.views(iter(batches), settings, CPU):
        if views is not None:
            found |= dict(zip(views.targets.argmax(1).tolist(), views.frames, strict=True))
    return found


def test_candidates_are_those_of_an_extraction(clips):
    source = source_of(clips)
    views = views_of(source, SETTINGS)
    assert sorted(views) == [0, 1, 3]
    assert list(source.skipped) == [2]
    assert "2.mp4" in source.skipped[2]
    decoded = decode_video(clips[1], frames=6, clips=1, decoder="pyav")
    columns = sample_training_indices(6, 3, stream(Draws.FRAMES, SETTINGS.seed, 0, 1))
    frames = torch.from_numpy(decoded.frames[decoded.index[0][columns]])
    assert torch.equal(views[1], preprocess(frames, source.preprocessing, 1)[0])


def test_without_candidates_all_frames_are_drawn_from(clips):
    settings = replace(SETTINGS, candidate_frames=0)
    views = views_of(source_of(clips), settings)
    # The clips have sixteen frames.
    columns = sample_training_indices(16, 3, stream(Draws.FRAMES, settings.seed, 0, 3))
    decoded = decode_video(clips[3], frames=16, clips=1, decoder="pyav")
    frames = torch.from_numpy(decoded.frames[columns])
    assert torch.equal(views[3], preprocess(frames, source_of(clips).preprocessing, 1)[0])


def test_epochs_draw_other_frames(clips):
    settings = replace(SETTINGS, candidate_frames=0)
    first, second = (views_of(source_of(clips), settings, first=step) for step in (0, 2))
    assert not all(torch.equal(first[row], second[row]) for row in first)


@pytest.mark.parametrize(
    "changes",
    [{}, {"crop_scales": (1.0, 0.5), "jitter": 1.0, "flip": 0.5}],
    ids=["centre", "changed"],
)
def test_the_cache_gives_the_same_views(clips, tmp_path, changes):
    settings = replace(SETTINGS, **changes)
    cached = source_of(clips, replace(OPTIONS, frame_cache=tmp_path / "frames"))
    plain = views_of(source_of(clips), settings)
    for _ in range(2):
        found = views_of(cached, settings)
        assert found.keys() == plain.keys()
        assert all(torch.equal(found[row], plain[row]) for row in plain)
    # Three entries, which a second reader finds without decoding.
    assert len(list((tmp_path / "frames").glob("*/*.frames"))) == 3


def test_a_cache_that_is_hit_decodes_nothing(clips, tmp_path, monkeypatch):
    options = replace(OPTIONS, frame_cache=tmp_path / "frames")
    first = views_of(source_of(clips, options), SETTINGS)
    source = source_of(clips, options)
    source.skipped[2] = "known"

    def refuse(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("vifistore.frames.processes.pool.DecodePool.submit", refuse)
    again = views_of(source, SETTINGS)
    assert all(torch.equal(first[row], again[row]) for row in first)


def test_an_entry_is_that_of_the_bytes_that_were_decoded(clips, tmp_path, monkeypatch):
    """Not of those that were there when the digest was taken to look for it."""
    options = replace(OPTIONS, frame_cache=tmp_path / "frames")
    source = source_of([clips[0]] * 4, options)
    true = content_digest(clips[0].absolute())
    monkeypatch.setattr(together, "content_digest", lambda _: "0" * len(true))
    plain = views_of(source, SETTINGS)
    monkeypatch.undo()
    cache = FrameCache(options.frame_cache, 10**9)
    kept = kept_by_steps(source.preprocessing, SETTINGS)
    for digest, is_there in ((true, True), ("0" * len(true), False)):
        assert cache.has(kept.key(digest, "pyav", decoder_version("pyav"))) == is_there
    assert len(plain) == 4


def test_a_short_video_repeats_frames_with_and_without_a_cache(tmp_path):
    path = tmp_path / "short.mp4"
    write_mp4(path, draw_clip("cross sliding sideways", split="train", number=0, seed=0)[:4])
    source = VideoSource(
        files=[LocalFile(path)],
        targets=torch.ones(1, 1),
        preprocessing=preprocessing_of("openclip", TOWER, 1),
        options=OPTIONS,
    )
    cached = replace(source, options=replace(OPTIONS, frame_cache=tmp_path / "frames"))
    settings = replace(SETTINGS, num_frames=4, candidate_frames=8, batch_size=1)
    batches = Order(num_videos=1, settings=settings).step(0)
    found = [next(s.views(iter(batches), settings, CPU)).frames for s in (source, cached, cached)]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[1], found[2])


def test_in_memory_are_all_candidates(clips):
    source = source_of(clips)
    data = in_memory(source, replace(SETTINGS, flip=0.5, crop_scales=(0.5,)))
    assert data.frames.shape == (4, 6, 3, 32, 32)
    assert list(data.skipped) == [2]
    decoded = decode_video(clips[0], frames=6, clips=1, decoder="pyav")
    frames = torch.from_numpy(decoded.frames[decoded.index[0]])
    assert torch.equal(data.frames[0], preprocess(frames, source.preprocessing, 1)[0])
    # Drawn from memory, views are those that are decoded.
    from_memory, decoded_views = views_of(data, SETTINGS), views_of(source, SETTINGS)
    assert all(torch.equal(from_memory[row], decoded_views[row]) for row in decoded_views)


def test_crops_are_cut_from_frames_of_the_paper_s_size(clips):
    """Clips of 64 pixels shrink to 37 for a tower of 32, as 256 is to 224."""
    settings = replace(SETTINGS, crop_scales=(0.5,))
    views = views_of(source_of(clips), settings)
    decoded = decode_video(clips[0], frames=6, clips=1, decoder="pyav")
    columns = sample_training_indices(6, 3, stream(Draws.FRAMES, SETTINGS.seed, 0, 0))
    small = [
        np.asarray(Image.fromarray(frame).resize((37, 37), Image.Resampling.BILINEAR))
        for frame in decoded.frames[columns]
    ]
    rng = stream(Draws.PIXELS, SETTINGS.seed, 0, 0)
    frames, preprocessing = torch.from_numpy(np.stack(small)), source_of(clips).preprocessing
    assert torch.equal(views[0], augment(frames, preprocessing, settings, rng))
    assert views[0].shape == (3, 3, 32, 32)
