"""A pool with a cache gives the numbers of one without, and decodes only what it has to."""

import os
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.vifistore.frames.conftest import write_video
from vifistore.errors import DecodeError
from vifistore.frames.frame_cache import FrameCache
from vifistore.frames.preprocess import normalise, preprocess, preprocessing_of
from vifistore.frames.processes.cached_pool import CachedPool
from vifistore.frames.processes.pool import DecodePool
from vifistore.frames.processes.together import SharedFrames
from vifistore.frames.readers import Reader

TOWER = {
    "size": (32, 32),
    "mean": (0.4, 0.5, 0.6),
    "std": (0.2, 0.3, 0.25),
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}


class CountingPool(DecodePool):
    """Remembers what it was asked to decode."""

    def submit(self, footage, *further, **named):
        self.__dict__.setdefault("asked", []).append(Path(str(footage)).name)
        return super().submit(footage, *further, **named)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two videos, a folder of frames, and a file that is none of them."""
    folder = tmp_path_factory.mktemp("cached")
    write_video(folder / "a.mp4")
    write_video(folder / "b.mp4", size=(48, 64), num_frames=3)
    (folder / "frames").mkdir()
    for number in range(6):
        Image.new("RGB", (50, 40), (40 * number, 0, 99)).save(folder / "frames" / f"{number}.png")
    (folder / "c.txt").write_text("no video")
    return folder


@pytest.fixture(scope="module")
def pool():
    with CountingPool(1, frames=4, clips=2) as pool:
        yield pool


def read(pool, folder, cache, preprocessing, crops) -> tuple[dict, list[str]]:
    """What every entry of a folder gives with a cache, and what was decoded for that."""
    pool.asked = []
    own = Reader(frames=4, clips=2, preprocessing=preprocessing, crops=crops)
    with CachedPool(SharedFrames(pool, cache, "decord", None), own, num_threads=2) as cached:
        found = {}
        for key, video in cached.decode((p.name, p) for p in sorted(folder.iterdir())):
            if not isinstance(video, DecodeError):
                pixels = normalise(torch.from_numpy(video.frames), preprocessing)
                video = pixels, video.index, video.timestamps, video.width, video.content_digest
            found[key] = video
    assert list(found) == sorted(found)
    return found, sorted(pool.asked)


@pytest.mark.parametrize(("name", "crops"), [("openclip", 1), ("openclip", 3), ("paper", 1)])
def test_numbers_are_those_without_a_cache(pool, folder, tmp_path, name, crops):
    cache = FrameCache(tmp_path, 10**8)
    preprocessing = preprocessing_of(name, TOWER, crops)
    first, decoded = read(pool, folder, cache, preprocessing, crops)
    assert decoded == ["a.mp4", "b.mp4", "c.txt", "frames"]
    again, decoded = read(pool, folder, cache, preprocessing, crops)
    # What cannot be decoded is asked for again: another try may read it.
    assert decoded == ["c.txt"]
    for key, plain in pool.decode((p.name, p) for p in sorted(folder.iterdir())):
        if isinstance(plain, DecodeError):
            assert first[key].reason == again[key].reason == plain.reason
            continue
        expected = preprocess(torch.from_numpy(plain.frames), preprocessing, crops).flatten(0, 1)
        for pixels, index, timestamps, width, digest in (first[key], again[key]):
            assert torch.equal(pixels, expected)
            assert (index == plain.index).all()
            assert (timestamps == plain.timestamps).all()
            assert (width, digest) == (plain.width, plain.content_digest)


def test_another_preprocessing_or_content_is_decoded(pool, folder, tmp_path):
    cache = FrameCache(tmp_path / "cache", 10**8)
    preprocessing = preprocessing_of("openclip", TOWER, 1)
    source = tmp_path / "videos"
    source.mkdir()
    (source / "a.mp4").write_bytes((folder / "a.mp4").read_bytes())
    before, decoded = read(pool, source, cache, preprocessing, 1)
    assert decoded == ["a.mp4"]
    assert read(pool, source, cache, preprocessing_of("paper", TOWER, 1), 1)[1] == ["a.mp4"]
    status = (source / "a.mp4").stat()
    write_video(source / "a.mp4", num_frames=20)
    os.utime(source / "a.mp4", ns=(status.st_atime_ns, status.st_mtime_ns))
    after, decoded = read(pool, source, cache, preprocessing, 1)
    assert decoded == ["a.mp4"]
    assert not torch.equal(before["a.mp4"][0], after["a.mp4"][0])
    assert read(pool, source, cache, preprocessing, 1)[1] == []


def test_damage_is_decoded_again(pool, folder, tmp_path):
    cache = FrameCache(tmp_path, 10**8)
    preprocessing = preprocessing_of("openclip", TOWER, 1)
    before, _ = read(pool, folder, cache, preprocessing, 1)
    for path in tmp_path.rglob("*.frames"):
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    after, decoded = read(pool, folder, cache, preprocessing, 1)
    assert decoded == ["a.mp4", "b.mp4", "c.txt", "frames"]
    assert torch.equal(before["a.mp4"][0], after["a.mp4"][0])
