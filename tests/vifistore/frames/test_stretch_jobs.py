"""Many stretches of one file as one job of real processes: order, bounds, kills, digests."""

import hashlib
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.support import bounded
from vifistore.errors import DecodeError
from vifistore.frames import file_digests
from vifistore.frames.decoders.decoding import DecodedVideo, decode_stretches
from vifistore.frames.file_digests import FileDigests, SharedDigest
from vifistore.frames.plans import WHOLE_VIDEO, Plan, Sampling, Span
from vifistore.frames.processes.arena import Arena
from vifistore.frames.processes.decode_jobs import DecodeJob
from vifistore.frames.processes.pool import DecodePool
from vifistore.frames.streams import Stream, taken_as_they_come
from vifistore.sources.footage import LocalFile

SPANS = [Span(start / 10, start / 10 + 0.2) for start in range(0, 14)]
RATE = {"frames": 9, "clips": 1, "fps": 10.0}


def job_of(path: Path, spans=SPANS, digest=None) -> DecodeJob:
    return DecodeJob(footage=LocalFile(path), spans=spans, digest=digest)


def keys_of(name: str, spans=SPANS) -> list[tuple[str, int]]:
    return [(name, number) for number in range(len(spans))]


def test_each_stretch_is_that_of_the_plain_call(videos):
    names = ["h264.mp4", "xvid.avi", "open-gop.mp4"]
    digests = FileDigests()
    jobs = [
        (keys_of(name), job_of(videos[name], digest=digests.of(LocalFile(videos[name]))))
        for name in names
    ]
    with bounded(60), DecodePool(2, **RATE) as pool:
        found = list(pool.decode_stretches(iter(jobs)))
    for name in names:
        of_name = [(key[1], video) for key, video in found if key[0] == name]
        assert [number for number, _ in of_name] == list(range(len(SPANS)))
        plans = [Plan(sampling=Sampling(9, fps=10.0), span=span) for span in SPANS]
        expected = decode_stretches(videos[name], plans, decoder="decord")
        for (_, video), alone in zip(of_name, expected, strict=True):
            assert isinstance(video, DecodedVideo)
            assert isinstance(alone, DecodedVideo)
            np.testing.assert_array_equal(video.frames, alone.frames)
            assert (video.numbers, video.left_out) == (alone.numbers, alone.left_out)
            digest = hashlib.sha256(videos[name].read_bytes()).hexdigest()
            assert video.content_digest == digest


def test_a_worker_waits_until_its_stretches_are_taken(videos, monkeypatch):
    written, take = [], Arena.take
    monkeypatch.setattr(Arena, "take", lambda *a: written.append(1) or take(*a))
    with bounded(60), DecodePool(1, **RATE) as pool:
        found = pool.decode_stretches([(keys_of("a"), job_of(videos["h264.mp4"]))])
        next(found)
        time.sleep(0.5)
        # Two may wait; one was taken.
        assert len(written) <= 3
        assert len(list(found)) == len(SPANS) - 1
    assert len(written) == len(SPANS)


def test_a_worker_that_is_killed_costs_the_stretches_that_are_left(videos):
    jobs = [(keys_of(name), job_of(videos["h264.mp4"])) for name in "ab"]
    with bounded(60), DecodePool(1, **RATE) as pool:
        found = pool.decode_stretches(iter(jobs))
        assert isinstance(next(found)[1], DecodedVideo)
        os.kill(pool.worker_pids[0], signal.SIGKILL)
        rest = list(found)
    assert [key for key, _ in rest] == [*keys_of("a")[1:], *keys_of("b")]
    of_first = [video for key, video in rest if key[0] == "a"]
    lost = [error for error in of_first if isinstance(error, DecodeError)]
    assert of_first[-len(lost) :] == lost
    assert len(lost) >= len(SPANS) - 4
    assert {error.reason for error in lost} == {"worker crashed"}
    assert all(isinstance(video, DecodedVideo) for key, video in rest if key[0] == "b")


def test_who_takes_no_more_ends_the_job_and_not_the_pool(videos):
    with bounded(60), DecodePool(1, **RATE) as pool:
        found = pool.decode_stretches([(keys_of("a"), job_of(videos["h264.mp4"]))])
        next(found)
        found.close()
        assert isinstance(pool.submit(videos["h264.mp4"]).result(), DecodedVideo)


def test_a_stretch_has_as_long_as_reading_it_may_take(tmp_path):
    with (tmp_path / "v.mp4").open("wb") as file:
        file.truncate(10**9)
    spans = [Span(0, 100), Span(100, 200), Span(900, 1000)]
    assert job_of(tmp_path / "v.mp4", spans).limits(120) == pytest.approx([1200, 120, 960])
    assert job_of(tmp_path / "v.mp4", [*spans, Span(1000)]).limits(120) == [1200] * 4
    assert job_of(tmp_path / "v.mp4", [WHOLE_VIDEO]).limits(120) == [1200]


def test_a_digest_is_taken_once_and_again_where_the_file_changed(tmp_path, monkeypatch):
    taken, path = [], tmp_path / "v.mp4"
    monkeypatch.setattr(
        file_digests, "content_digest", lambda f: taken.append(f) or str(len(taken))
    )
    path.write_bytes(b"one")
    shared = FileDigests().of(LocalFile(path))
    assert shared.claim()
    with ThreadPoolExecutor(1) as threads, bounded(20):
        waiting = threads.submit(shared.get)
        assert not shared.claim()
        shared.tell("told")
        assert waiting.result() == "told"
    assert (shared.claim(), shared.get(), taken) == (False, "told", [])
    path.write_bytes(b"another")
    assert shared.claim()
    # Whoever claimed it could not take it.
    shared.tell("")
    assert shared.get() == "1"
    assert FileDigests().read(LocalFile(path)) == "2"


def test_a_digest_that_cannot_be_taken_is_empty(tmp_path):
    assert FileDigests().read(LocalFile(tmp_path / "none.mp4")) == ""
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(DecodeError):
        SharedDigest(footage=LocalFile(tmp_path / "empty.mp4")).get()


def taken(streams: dict[str, list], most: int = 2) -> list:
    """What comes of streams, of which each result is given once its event is set."""
    left = iter(streams.items())

    def begin(changed: threading.Condition) -> Stream | None:
        for name, results in left:
            stream = Stream([(name, n) for n in range(len(results))], most, changed)
            stream.begin(
                threads, lambda results=results: (event.wait() and n for n, event in results)
            )
            return stream
        return None

    with bounded(20), ThreadPoolExecutor(4) as threads:
        return [key for key, _ in taken_as_they_come(begin, 8)]


def test_later_streams_are_taken_from_while_the_oldest_has_nothing():
    late, now = threading.Event(), threading.Event()
    now.set()
    threading.Timer(0.3, late.set).start()
    keys = taken({"slow": [(0, late), (1, late)], "quick": [(0, now), (1, now)]})
    assert keys == [("quick", 0), ("quick", 1), ("slow", 0), ("slow", 1)]


def test_nobody_overtakes_a_stream_of_one():
    late, now = threading.Event(), threading.Event()
    now.set()
    threading.Timer(0.3, late.set).start()
    keys = taken({"slow": [(0, late)], "quick": [(0, now), (1, now)]})
    assert keys == [("slow", 0), ("quick", 0), ("quick", 1)]


def test_what_a_stream_fails_with_is_raised():
    def fails():
        yield 1
        raise KeyError("nobody expects this")

    begun = []

    def begin(changed: threading.Condition) -> Stream | None:
        if begun:
            return None
        begun.append(Stream(["a", "b"], 2, changed))
        begun[0].begin(threads, fails)
        return begun[0]

    with bounded(20), ThreadPoolExecutor(1) as threads:
        found = taken_as_they_come(begin, 4)
        assert next(found) == ("a", 1)
        with pytest.raises(KeyError, match="nobody"):
            next(found)
