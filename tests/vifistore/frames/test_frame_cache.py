"""The frame cache: gives back what was put in or nothing, whatever happens to its folder."""

import json
import os
import struct
import subprocess
import sys
import threading
import time
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support import bounded
from vifistore.errors import UsageError
from vifistore.frames import frame_cache
from vifistore.frames.decoders.decoding import DecodedVideo
from vifistore.frames.frame_cache import FrameCache, FrameKey
from vifistore.temporaries import writing_in

LIMIT = 1_000_000


def key(name: str = "a", **geometry: object) -> FrameKey:
    return FrameKey(
        content_digest=name,
        decoder="decord",
        decoder_version="1",
        sampling={"frames": 4},
        geometry={"size": 8} | geometry,
    )


def video(seed: int = 0, frames: int = 4, size: int = 8) -> DecodedVideo:
    rng = np.random.default_rng(seed)
    return DecodedVideo(
        frames=rng.integers(0, 256, (frames, size, size, 3), dtype=np.uint8),
        index=np.arange(frames)[None],
        timestamps=rng.random((1, frames)).astype(np.float32),
        num_frames=frames,
        declared_frames=frames + 1,
        content_digest="a",
        width=10,
        height=9,
        decoder="decord",
    )


def same(first: DecodedVideo, second: DecodedVideo) -> bool:
    pairs = [(value, getattr(second, name)) for name, value in vars(first).items()]
    return all(
        np.array_equal(a, b) and np.asarray(a).dtype == np.asarray(b).dtype for a, b in pairs
    )


def entries(cache: FrameCache) -> list:
    return sorted(cache.folder.glob("*/*.frames"))


@pytest.fixture
def cache(tmp_path) -> FrameCache:
    return FrameCache(tmp_path / "cache", LIMIT)


def test_gives_back_what_was_put_in(cache):
    assert cache.get(key()) is None
    cache.put(key(), video())
    assert same(cache.get(key()), video())
    # Another process, later.
    assert same(FrameCache(cache.folder, LIMIT).get(key()), video())
    assert [path for path in cache.folder.rglob("*") if "partial" in path.name] == []


def test_every_part_of_the_key_counts(cache):
    cache.put(key(), video())
    others = [
        replace(key(), content_digest="b"),
        replace(key(), decoder="pyav"),
        replace(key(), decoder_version="2"),
        replace(key(), sampling={"frames": 5}),
        key(size=9),
    ]
    assert [cache.get(other) for other in others] == [None] * len(others)


def test_reads_only_the_frames_that_are_chosen(cache):
    cache.put(key(), video())
    found = cache.get(key(), lambda count: [count - 1, 0])
    assert np.array_equal(found.frames, video().frames[[3, 0]])
    # Damage to a frame that is not read goes unnoticed until it is.
    flip(entries(cache)[0], -1)
    assert cache.get(key(), lambda count: [0]) is not None
    assert cache.get(key(), lambda count: [3]) is None


def flip(path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("where", [0, 8, 12, 40, -1, -700])
def test_a_flipped_bit_is_noticed_and_the_entry_replaced(cache, where, caplog):
    cache.put(key(), video())
    flip(entries(cache)[0], where)
    assert cache.get(key()) is None
    assert entries(cache) == []
    cache.put(key(), video())
    assert same(cache.get(key()), video())


@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_a_torn_entry_is_noticed(cache, length):
    cache.put(key(), video())
    (path,) = entries(cache)
    path.write_bytes(path.read_bytes()[:length])
    assert cache.get(key()) is None


def test_a_length_that_cannot_be_is_not_read(cache, monkeypatch):
    cache.put(key(), video())
    (path,) = entries(cache)
    data = bytearray(path.read_bytes())
    data[8:12] = b"\xff" * 4
    path.write_bytes(data)
    asked: list[int] = []
    plain = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, n, at: asked.append(n) or plain(fd, n, at))
    assert cache.get(key()) is None
    assert max(asked) <= len(data)


def test_an_entry_of_another_version_is_replaced(cache, monkeypatch):
    plain = frame_cache._NOT_KEPT
    monkeypatch.setattr(frame_cache, "_NOT_KEPT", (*plain, "width"))
    cache.put(key(), video())
    assert cache.get(key()) is None
    monkeypatch.setattr(frame_cache, "_NOT_KEPT", plain)
    cache.put(key(), video())
    assert same(cache.get(key()), video())


def test_entries_of_others_are_read_though_they_cannot_be_touched(cache, monkeypatch):
    cache.put(key(), video())

    def refuse(*_: object) -> None:
        raise PermissionError(1, "not yours")

    monkeypatch.setattr(os, "utime", refuse)
    assert same(cache.get(key()), video())


def test_an_entry_of_another_video_is_noticed(cache):
    cache.put(key("a"), video(0))
    (path,) = entries(cache)
    cache.put(key("b"), video(1))
    (other,) = set(entries(cache)) - {path}
    os.replace(other, path)
    assert cache.get(key("a")) is None


def test_the_least_recently_used_go_first(tmp_path):
    size = 8 * 64 * 64 * 3
    cache = FrameCache(tmp_path / "cache", int(4.5 * (size + 1000)))
    for number, name in enumerate("abcd"):
        cache.put(key(name), video(number, 8, 64))
        os.utime(cache._path(key(name)), (number, number))
    assert cache.get(key("a")) is not None  # used now, so the last to go
    cache.put(key("e"), video(5, 8, 64))
    kept = [name for name in "abcde" if cache.get(key(name)) is not None]
    assert "a" in kept
    assert "e" in kept
    assert "b" not in kept
    assert sum(path.stat().st_size for path in entries(cache)) <= 4.5 * (size + 1000)


def test_what_is_larger_than_the_limit_is_not_kept(tmp_path):
    cache = FrameCache(tmp_path / "cache", 100)
    cache.put(key(), video())
    assert cache.get(key()) is None


def test_leftovers_of_killed_processes_go(tmp_path):
    left = tmp_path / "cache" / "ab" / f"cd.frames.{'0' * 32}.partial"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"x")
    with writing_in(left.parent):
        FrameCache(tmp_path / "cache", LIMIT)
        assert left.exists()
    FrameCache(tmp_path / "cache", LIMIT)
    assert not left.exists()


def test_a_folder_that_cannot_be_written_costs_one_warning(tmp_path, caplog, monkeypatch):
    import logging

    monkeypatch.setattr(logging.getLogger("vifi"), "propagate", True)
    cache = FrameCache(tmp_path / "cache", LIMIT)
    (tmp_path / "cache").write_text("a file by now")
    for _ in range(3):
        cache.put(key(), video())
        assert cache.get(key()) is None
    # By identity: a logger that propagates hands one record to more than one handler.
    warned = {id(record) for record in caplog.records if "cannot be used" in record.getMessage()}
    assert len(warned) == 1
    with pytest.raises(UsageError, match="give a folder"):
        FrameCache(tmp_path / "cache", LIMIT)
    with pytest.raises(UsageError, match="positive"):
        FrameCache(tmp_path, 0)


_WRITE_FOR_EVER = """
import sys
from pathlib import Path
from tests.vifistore.frames.test_frame_cache import key, video
from vifistore.frames.frame_cache import FrameCache
cache = FrameCache(Path(sys.argv[1]), 10**9)
print("ready", flush=True)
while True:
    for seed in range(4):
        cache.put(key(str(seed)), video(seed, 16, 64))
"""


def test_killed_writers_leave_nothing_wrong(cache):
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", _WRITE_FOR_EVER, str(cache.folder)]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) for _ in range(2)]
    for writer in writers:
        writer.stdout.readline()
    deadline = time.monotonic() + 30
    while len(entries(cache)) < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    for writer in writers:
        writer.kill()
        writer.communicate()
    found = {seed: cache.get(key(str(seed))) for seed in range(4)}
    found = {seed: entry for seed, entry in found.items() if entry is not None}
    assert len(found) >= 2
    assert all(same(entry, video(seed, 16, 64)) for seed, entry in found.items())


def test_threads_and_a_folder_that_goes_away(tmp_path):
    """Readers get the right bytes or nothing while others write, evict and delete."""
    cache = FrameCache(tmp_path / "cache", 40_000)
    wrong: list[str] = []

    def work(number: int) -> None:
        for turn in range(30):
            name = str((turn * 7 + number) % 12)
            cache.put(key(name), video(int(name), 8, 16))
            found = cache.get(key(name))
            if found is not None and not same(found, video(int(name), 8, 16)):
                wrong.append(name)
            if turn % 10 == number:
                for path in entries(cache):
                    path.unlink(missing_ok=True)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header["video"]["frames"].__setitem__(0, 10**12),
        lambda header: header["video"]["frames"].__setitem__(1, 10**9),
        lambda header: header["video"].update(frames=[4, 0, 8, 3]),
        lambda header: header["video"].update(frames=[]),
        lambda header: header["video"].update(frames="x" * 4),
        lambda header: header["video"].pop("checksums"),
        lambda header: header["video"].update(index="x"),
        lambda header: header.pop("video"),
        lambda header: header.update(video=[]),
        lambda header: header["video"].update(other=1),
    ],
)
def test_a_header_that_says_what_is_not_there_takes_no_memory(cache, change):
    """With a checksum that is right: it was written so."""
    cache.put(key(), video())
    (path,) = entries(cache)
    data = path.read_bytes()
    magic, length, _ = struct.unpack("<8sII", data[:16])
    header = json.loads(data[16 : 16 + length])
    change(header)
    text = json.dumps(header).encode()
    prefix = struct.pack("<8sII", magic, len(text), zlib.crc32(text))
    path.write_bytes(prefix + text + data[16 + length :])
    with bounded(num_bytes=1 << 28):
        assert cache.get(key()) is None
    assert entries(cache) == []
