"""Decoding on a GPU beside the CPU, with a stand-in for the GPU: who decodes what, and what a death
of the process costs."""

import gc
import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support import bounded
from tests.vifistore.frames.conftest import commands_in
from vifistore.errors import DecodeError, UsageError
from vifistore.frames.decoders.decoding import DecodedVideo, decode_video
from vifistore.frames.gpu import gpu_decoders
from vifistore.frames.gpu.gpu_decoders import GpuDecoders, open_gpu_decoders
from vifistore.frames.plans import Sampling, Span
from vifistore.frames.processes.arena import Arena
from vifistore.frames.processes.decode_jobs import DecodeJob
from vifistore.frames.processes.pool import DecodePool
from vifistore.sources.roots import footage_of

SAMPLING = {"frames": 4, "clips": 2}
STAND_IN = Path(__file__).parent / "stand_in_gpu"
Commanded = Callable[[str], Path]


@pytest.fixture(autouse=True)
def in_time() -> Iterator[None]:
    with bounded(90):
        yield


@pytest.fixture
def commanded(
    videos: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Commanded:
    """Make the stand-in the torchcodec of the process that decodes; write it a command."""
    monkeypatch.syspath_prepend(str(STAND_IN))
    return commands_in(videos, tmp_path)


@pytest.fixture
def gpu() -> Iterator[GpuDecoders]:
    sampling = Sampling(**SAMPLING)
    with open_gpu_decoders(torch.device("cpu"), sampling, 20) as decoders:
        decoders.num_lines = 2
        yield decoders


def open_pool(gpu: GpuDecoders, num_workers: int = 1) -> DecodePool:
    return DecodePool(num_workers, **SAMPLING, decoder="pyav", gpu=gpu)


def decoders_of(pool: DecodePool, paths: list[Path]) -> list[str]:
    """What decoded each video, or why it was not."""
    found = [video for _, video in pool.decode(enumerate(paths))]
    return [one.reason if isinstance(one, DecodeError) else one.decoder for one in found]


def on_gpu(gpu: GpuDecoders, path: Path) -> DecodedVideo | None:
    while gpu._is_starting:
        time.sleep(0.01)
    return gpu.decode(DecodeJob(footage=footage_of(path)), takes_digest=True)


def test_a_video_is_what_the_cpu_gives_but_for_its_levels(
    commanded: Commanded, videos: dict[str, Path], gpu: GpuDecoders
) -> None:
    with open_pool(gpu):
        for name in ("h264.mp4", "open-gop.mp4"):
            expected = decode_video(videos[name], **SAMPLING, decoder="pyav")
            video = on_gpu(gpu, videos[name])
            if video is None:
                # Its key frames make numbers that no reader agrees on.
                assert name == "open-gop.mp4"
                continue
            np.testing.assert_array_equal(video.frames, expected.frames + np.uint8(100))
            for field in ("index", "timestamps"):
                np.testing.assert_array_equal(getattr(video, field), getattr(expected, field))
            for field in ("num_frames", "declared_frames", "content_digest", "width", "numbers"):
                assert getattr(video, field) == getattr(expected, field)
            assert video.reader == "torchcodec-cuda by-number"
            assert video.decode_seconds > 0
        assert on_gpu(gpu, videos["h264.mp4"]) is not None


def test_what_a_gpu_cannot_decode_the_cpu_does(
    commanded: Commanded, videos: dict[str, Path], tmp_path: Path, gpu: GpuDecoders
) -> None:
    commands = ("fallback", "turn", "miscount", "shrink", "refuse")
    (tmp_path / "torn.mp4").write_bytes(videos["h264.mp4"].read_bytes()[:600])
    others = [videos["xvid.avi"], tmp_path / "torn.mp4", tmp_path / "none.mp4"]
    with open_pool(gpu) as pool:
        assert on_gpu(gpu, videos["h264.mp4"]) is not None
        pid = gpu.pid
        for path in [*map(commanded, commands), *others]:
            assert on_gpu(gpu, path) is None, path
        os.mkfifo(tmp_path / "pipe.mp4")
        for path in (tmp_path, tmp_path / "pipe.mp4"):
            assert on_gpu(gpu, path) is None
        stretch = DecodeJob(footage=footage_of(videos["h264.mp4"]), spans=(Span(0.2, 0.9),))
        assert gpu.decode(stretch, takes_digest=True) is None
        found = decoders_of(pool, [*map(commanded, commands), *others])
        assert found == ["pyav"] * 6 + ["not a video", "missing"]
        assert gpu.pid == pid


def test_frames_for_which_there_is_no_room_are_decoded_by_the_cpu(
    commanded: Commanded, videos: dict[str, Path]
) -> None:
    arena = Arena(4096)
    gpu = GpuDecoders(arena, "cpu", Sampling(**SAMPLING), 20, num_lines=1)
    with open_pool(gpu) as pool:
        assert on_gpu(gpu, videos["h264.mp4"]) is None
        assert decoders_of(pool, [videos["h264.mp4"]] * 3) == ["pyav"] * 3
        assert gpu.pid is not None
    arena.close()


def test_a_video_that_its_process_dies_of_is_decoded_by_the_cpu(
    commanded: Commanded,
    videos: dict[str, Path],
    gpu: GpuDecoders,
    caplog: pytest.LogCaptureFixture,
) -> None:
    good, pids = videos["h264.mp4"], []
    with open_pool(gpu) as pool:
        for command in ("crash", "bug", "hang"):
            assert on_gpu(gpu, good) is not None
            pids.append(gpu.pid)
            gpu._timeout_seconds = 1 if command == "hang" else 20
            assert decoders_of(pool, [commanded(command)]) == ["pyav"]
            gpu._timeout_seconds = 20
    assert len({*pids, None}) == 4
    words = ("SIGSEGV", "nobody expects this", "not decoded within 1")
    for record, word in zip(caplog.records, words, strict=True):
        assert word in record.message
        assert "started anew" in record.message


def test_whoever_is_free_takes_the_next_video(
    commanded: Commanded, videos: dict[str, Path], gpu: GpuDecoders
) -> None:
    with open_pool(gpu) as pool:
        assert on_gpu(gpu, videos["h264.mp4"]) is not None
        found = Counter(decoders_of(pool, [commanded("slow 0.4")] * 12))
    assert set(found) == {"torchcodec-cuda", "pyav"}


def test_a_process_that_dies_often_is_done_without(
    commanded: Commanded,
    videos: dict[str, Path],
    gpu: GpuDecoders,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(gpu_decoders, "_MOST_DEATHS", 2)
    with open_pool(gpu) as pool:
        for _ in range(2):
            assert on_gpu(gpu, videos["h264.mp4"]) is not None
            os.kill(gpu.pid, signal.SIGKILL)
            assert decoders_of(pool, [commanded("hang")]) == ["pyav"]
        assert on_gpu(gpu, videos["h264.mp4"]) is None
        assert decoders_of(pool, [videos["h264.mp4"]] * 4) == ["pyav"] * 4
    ends = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert ["CPU cores decode all" in end for end in ends] == [False, True]


def test_a_decoder_that_cannot_be_loaded_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, videos: dict[str, Path], gpu: GpuDecoders
) -> None:
    (tmp_path / "torchcodec").mkdir()
    (tmp_path / "torchcodec/__init__.py").write_text("raise RuntimeError('no FFmpeg here')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with open_pool(gpu) as pool:
        with pytest.raises(UsageError, match=r"loaded \(no FFmpeg here\)"):
            on_gpu(gpu, videos["h264.mp4"])
        with pytest.raises(UsageError, match=r"loaded \(no FFmpeg here\)"):
            decoders_of(pool, [videos["h264.mp4"]])


def test_stretches_and_videos_for_the_cpu_never_wait_for_each_other(
    commanded: Commanded, videos: dict[str, Path], gpu: GpuDecoders
) -> None:
    spans = [Span(0.1 * number, 0.1 * number + 0.2) for number in range(14)]
    stretches = DecodeJob(footage=footage_of(videos["h264.mp4"]), spans=spans)
    alone = DecodeJob(footage=footage_of(commanded("fallback")))
    jobs = [(range(14), stretches) if number % 2 else ([99], alone) for number in range(12)]
    with open_pool(gpu) as pool:
        assert on_gpu(gpu, videos["h264.mp4"]) is not None
        keys = Counter(key for key, _ in pool.decode_stretches(jobs))
    assert keys == {**dict.fromkeys(range(14), 6), 99: 6}


def test_nothing_is_left_behind(
    commanded: Commanded, videos: dict[str, Path], gpu: GpuDecoders
) -> None:
    gc.collect()
    files = len(os.listdir("/proc/self/fd"))
    with open_pool(gpu) as pool:
        assert on_gpu(gpu, videos["h264.mp4"]) is not None
        pid = gpu.pid
        decoders_of(pool, [videos["h264.mp4"], commanded("crash")])
        assert on_gpu(gpu, videos["h264.mp4"]) is not None
        pids = [pid, gpu.pid]
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert len(os.listdir("/proc/self/fd")) == files
    assert gpu.pid is None
    assert on_gpu(gpu, videos["h264.mp4"]) is None


def has_torchcodec() -> bool:
    """Whether it is installed; a stand-in may be imported."""
    try:
        return bool(version("torchcodec"))
    except PackageNotFoundError:
        return False


@pytest.mark.skipif(not has_torchcodec(), reason="torchcodec is not installed")
def test_torchcodec_itself_gives_the_frames_of_the_cpu(
    videos: dict[str, Path], gpu: GpuDecoders
) -> None:
    with open_pool(gpu):
        video = on_gpu(gpu, videos["h264.mp4"])
        expected = decode_video(videos["h264.mp4"], **SAMPLING, decoder="pyav")
        assert video is not None
        np.testing.assert_array_equal(video.frames, expected.frames)
        np.testing.assert_array_equal(video.timestamps, expected.timestamps)
