"""Memory that a pool shares with its workers: its parts come back, and nothing else is touched."""

import gc
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vifistore.errors import DecodeError
from vifistore.frames.decoders.decoding import DecodedVideo, decode_video
from vifistore.frames.decoders.kept import WHOLE
from vifistore.frames.plans import Sampling
from vifistore.frames.processes.arena import Arena, open_arena, write_part
from vifistore.frames.processes.decode_jobs import DecodeJob
from vifistore.frames.processes.pool import DecodePool
from vifistore.frames.processes.worker_handle import WorkerHandle
from vifistore.frames.processes.worker_settings import WorkerSettings
from vifistore.sources.roots import footage_of

SAMPLING = {"frames": 4, "clips": 1}
PAGE = 4096


def open_pool(arena_bytes: int | None, decoder: str = "pyav") -> DecodePool:
    return DecodePool(1, **SAMPLING, decoder=decoder, arena_bytes=arena_bytes)


def test_a_part_is_given_back_with_its_last_view() -> None:
    arena = Arena(2 * PAGE)
    start, part = arena.take(2 * PAGE)
    write_part(arena.file, start, np.full((2, PAGE), 7, np.uint8))
    view = part[:4].reshape(2, 2)[1:]
    del part
    assert arena.take(1) is None
    assert view.tolist() == [[7, 7]]
    del view
    assert arena.take(2 * PAGE) is not None
    arena.close()
    assert arena.take(1) is None


def test_a_view_outlives_the_arena() -> None:
    arena = Arena(PAGE)
    start, part = arena.take(3)
    write_part(arena.file, start, np.array([1, 2, 3], np.uint8))
    arena.close()
    gc.collect()
    assert part.tolist() == [1, 2, 3]


@pytest.mark.parametrize("arena_bytes", [None, 0, PAGE])
def test_frames_are_the_same_with_and_without_room(
    videos: dict[str, Path], arena_bytes: int | None
) -> None:
    path = videos["h264.mp4"]
    expected = decode_video(path, **SAMPLING, decoder="pyav").frames
    with open_pool(arena_bytes) as pool:
        for _, video in pool.decode(enumerate([path] * 3)):
            assert isinstance(video, DecodedVideo)
            np.testing.assert_array_equal(video.frames, expected)


def test_all_parts_are_different_while_they_are_held(videos: dict[str, Path]) -> None:
    path = videos["h264.mp4"]
    expected = decode_video(path, **SAMPLING, decoder="pyav").frames
    # Room for three videos: what comes beyond them comes as files.
    with open_pool(3 * -(-expected.nbytes // PAGE) * PAGE) as pool:
        held = [video for _, video in pool.decode(enumerate([path] * 6))]
        assert pool.arena.take(1) is None
        for number, video in enumerate(held):
            np.testing.assert_array_equal(video.frames, expected)
            video.frames[:] = number
        assert [int(video.frames.max()) for video in held] == list(range(6))
        assert [int(video.frames.min()) for video in held] == list(range(6))
        del held, video
        assert pool.arena.take(3 * expected.nbytes) is not None


def test_a_worker_that_dies_gives_its_part_back(obedient: Callable[[str], Path]) -> None:
    arena = Arena(PAGE)
    settings = WorkerSettings(sampling=Sampling(**SAMPLING), decoder="torchcodec", keep=WHOLE)
    worker = WorkerHandle(settings, arena)
    worker.wait_until_ready()
    # As if it died once it was told where to write.
    taken = arena.take
    arena.take = lambda size: (os.kill(worker.process.pid, signal.SIGKILL), taken(size))[1]
    job = DecodeJob(footage=footage_of(obedient("count 40")))
    (found,) = worker.decode(job, 20)
    assert isinstance(found, DecodeError)
    assert found.reason == "worker crashed"
    assert taken(PAGE) is not None
    arena.close()


def test_what_cannot_be_written_into_its_part_comes_as_a_file(videos: dict[str, Path]) -> None:
    path = videos["h264.mp4"]
    with open_pool(2**20) as pool:
        ((_, first),) = pool.decode([(0, path)])
        size = first.frames.nbytes
        # The part of the next video lies beyond the end that files of the worker may have.
        resource.prlimit(pool.worker_pids[0], resource.RLIMIT_FSIZE, (size, size))
        held = len(os.listdir("/proc/self/fd"))
        ((_, second),) = pool.decode([(0, path)])
        assert len(os.listdir("/proc/self/fd")) == held + 1
        np.testing.assert_array_equal(second.frames, first.frames)


def test_there_is_none_of_no_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_arena(0) is None
    monkeypatch.delattr(os, "memfd_create")
    assert open_arena(PAGE) is None
