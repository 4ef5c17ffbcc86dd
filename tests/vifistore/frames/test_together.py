"""What several readers get of one decoding is what each would get alone."""

import csv
import os
import threading
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.vifistore.frames.conftest import write_video
from tests.vifistore.frames.test_cached_pool import TOWER, CountingPool
from tests.vifistore.store.processes import end, start
from vifistore.errors import DecodeError
from vifistore.frames.decoders.decoding import decode_video, decoder_version
from vifistore.frames.frame_cache import FrameCache
from vifistore.frames.preprocess import preprocessing_of
from vifistore.frames.processes.pool import DecodePool
from vifistore.frames.processes.together import SharedFrames
from vifistore.frames.readers import Reader, common_squares

SQUARES = preprocessing_of("openclip", TOWER, 1)
CANDIDATES = Reader(frames=9, short_side=37)
ONE_CROP = Reader(frames=4, preprocessing=SQUARES)
OTHERS = (
    Reader(frames=5, clips=2, preprocessing=preprocessing_of("openclip", TOWER, 3), crops=3),
    Reader(frames=4, preprocessing=preprocessing_of("paper", TOWER, 1)),
    ONE_CROP,
)
LARGEST_CLIP = 200_000
TIMES = ("decode_seconds", "cut_seconds")


def alone(path: Path, kept: Reader, decoder: str):
    """What is kept of a video that is decoded for that alone."""
    video = decode_video(path, frames=kept.frames, clips=kept.clips, decoder=decoder)
    are_squares = kept.preprocessing is not None
    return vars(video) | {"frames": kept.cut(video.frames), "are_squares": are_squares}


def assert_same(found, expected: dict) -> None:
    for name in (field.name for field in fields(found) if field.name not in TIMES):
        np.testing.assert_array_equal(getattr(found, name), expected[name], err_msg=name)
        assert np.asarray(getattr(found, name)).dtype == np.asarray(expected[name]).dtype


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
def test_every_part_is_what_is_decoded_alone(videos, tmp_path, decoder):
    paths = dict(videos) | {"short.mp4": write_video(tmp_path / "short.mp4", num_frames=3)}
    cache = FrameCache(tmp_path / "cache", 10**9)
    with CountingPool(1, frames=CANDIDATES.frames, clips=1, decoder=decoder) as pool:
        frames = SharedFrames(pool, cache, decoder, None)
        for path in paths.values():
            assert_same(frames.find(path, CANDIDATES, OTHERS), alone(path, CANDIDATES, decoder))
        assert len(pool.asked) == len(paths)
        for path in paths.values():
            for kept in OTHERS:
                assert_same(frames.find(path, kept), alone(path, kept, decoder))
        assert len(pool.asked) == len(paths)


def test_workers_cut_what_all_want_alike(videos, tmp_path):
    more = Reader(frames=8, preprocessing=SQUARES)
    squares = common_squares([ONE_CROP, more])
    assert squares is not None
    assert common_squares([ONE_CROP, CANDIDATES]) is None
    path = videos["h264.mp4"]
    with CountingPool(1, frames=4, clips=1, squares=squares) as pool:
        frames = SharedFrames(pool, FrameCache(tmp_path, 10**9), "decord", squares)
        for own, others in ((ONE_CROP, [more]), (more, [])):
            assert_same(frames.find(path, own, others), alone(path, own, "decord"))
        assert len(pool.asked) == 1


def test_a_drawn_clip_is_not_kept_and_others_are(videos, tmp_path):
    path = videos["h264.mp4"]
    drawn = Reader(frames=3, short_side=37)
    with CountingPool(1, frames=3, clips=1) as pool:
        frames = SharedFrames(pool, FrameCache(tmp_path, 10**9), "decord", None)
        for draw in ((1, 2), (3, 4)):
            video = frames.drawn(path, drawn, draw, OTHERS, "")
            expected = decode_video(path, frames=3, clips=1, decoder="decord", draw=draw)
            assert_same(video, vars(expected) | {"frames": drawn.cut(expected.frames)})
        assert_same(frames.find(path, ONE_CROP), alone(path, ONE_CROP, "decord"))
        assert len(pool.asked) == 2


def test_what_one_cannot_have_does_not_change_what_another_gets(tmp_path):
    """Frame 1 of 3 is wanted by the second reader alone, who sees a folder of two then."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (50, 40), (80 * number, 0, 99)).save(folder / f"{number}.png")
    (folder / "1.png").write_bytes(b"no picture")
    ends = Reader(frames=2, short_side=37)
    # Frames 0 and 2; of the two that are left they would be 0 and 1.
    expected = alone(folder, ends, "decord")
    assert expected["num_frames"] == 3
    cache = FrameCache(tmp_path / "cache", 10**9)
    with CountingPool(1, frames=2, clips=1) as pool:
        frames = SharedFrames(pool, cache, "decord", None)
        assert_same(frames.find(folder, ends, [CANDIDATES]), expected)
        key = CANDIDATES.key(expected["content_digest"], "decord", decoder_version("decord"))
        assert not cache.has(key)
        assert len(pool.asked) == 2


def test_what_cannot_be_decoded_says_why(tmp_path):
    path = tmp_path / "c.txt"
    path.write_text("no video")
    with DecodePool(1, frames=4, clips=1) as pool:
        frames = SharedFrames(pool, FrameCache(tmp_path / "cache", 10**9), "decord", None)
        for found in (
            frames.find(path, ONE_CROP, OTHERS),
            frames.drawn(path, ONE_CROP, (1,), OTHERS, ""),
            frames.find(tmp_path / "gone", ONE_CROP),
        ):
            assert isinstance(found, DecodeError)


def test_one_of_several_threads_decodes(videos, tmp_path):
    with CountingPool(2, frames=9, clips=1) as pool:
        frames = SharedFrames(pool, FrameCache(tmp_path, 10**9), "decord", None)
        path, found = videos["h264.mp4"], []
        work = [
            threading.Thread(target=lambda: found.append(frames.find(path, CANDIDATES)))
            for _ in range(4)
        ]
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
        assert len(found) == 4
        assert len(pool.asked) == 1


def test_a_process_waits_for_another_that_decodes_and_not_for_one_that_is_gone(tmp_path):
    digest = "ab" * 32
    reader, writer = os.pipe()

    def hold() -> None:
        with FrameCache(tmp_path, 10**9).claim(digest):
            os.write(writer, b"1")
            time.sleep(600)

    pid = start(hold)
    assert os.read(reader, 1) == b"1"
    cache, taken = FrameCache(tmp_path, 10**9), threading.Event()

    def take() -> None:
        with cache.claim(digest):
            taken.set()

    thread = threading.Thread(target=take)
    thread.start()
    try:
        assert not taken.wait(0.3)
        # Another video is free meanwhile.
        with cache.claim("cd" * 32):
            pass
    finally:
        end(pid)
    assert taken.wait(10)
    thread.join()


def test_without_locks_nobody_waits(tmp_path, monkeypatch):
    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("vifistore.frames.processes.decode_claims.fcntl.lockf", no_locks)
    with FrameCache(tmp_path, 10**9).claim("ab" * 32):
        pass


@pytest.mark.shared
def test_real_clips_give_the_same_together(shared, tmp_path):
    """The small ones, which are of every kind; the large ones take half a minute."""
    with (shared / "videos/manifest.tsv").open(newline="") as file:
        paths = [shared / "videos" / row["file"] for row in csv.DictReader(file, delimiter="\t")]
    small = [path for path in paths if path.stat().st_size < LARGEST_CLIP]
    assert len(small) > 50
    both = Reader(frames=4, short_side=64), Reader(frames=5, short_side=64)
    cache = FrameCache(tmp_path / "cache", 10**10)
    with (
        CountingPool(2, frames=4, clips=1) as four,
        CountingPool(2, frames=5, clips=1) as five,
    ):
        pools = four, five
        for path in small:
            own = SharedFrames(four, cache, "decord", None).find(path, both[0], both[1:])
            if isinstance(own, DecodeError):
                continue
            other = SharedFrames(five, cache, "decord", None).find(path, both[1])
            plain = [pool.submit(path).result() for pool in pools]
            for video, expected, kept in zip((own, other), plain, both, strict=True):
                assert_same(video, vars(expected) | {"frames": kept.cut(expected.frames)})
