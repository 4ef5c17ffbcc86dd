"""Pieces by processes of their own: those that die are replaced, and a video keeps its worker."""

import os
import signal
import time

import pytest

from vifistore.errors import DecodeError
from vifistore.frames.previews.preview_pool import PreviewPool
from vifistore.frames.previews.previews import PieceMaker
from vifistore.sources.footage import LocalFile


def test_a_piece_is_that_of_the_plain_call(videos, tmp_path):
    footage = LocalFile(videos["h264.mkv"])
    with PieceMaker(footage) as maker:
        expected = [maker.piece(begin=at, end=at + 0.4, kind="mp4") for at in (0.4, 0.8, 5.0)]
    (tmp_path / "none.avi").write_text("no video")
    with PreviewPool(1) as pool:
        made = [pool.submit(footage, "a", at, at + 0.4, "mp4") for at in (0.4, 0.8, 5.0)]
        assert [future.result() for future in made] == expected
        with pytest.raises(DecodeError, match="Invalid data"):
            pool.submit(LocalFile(tmp_path / "none.avi"), "b", 0, 1, "mp4").result()
        # The same name may be another video by now.
        other = LocalFile(videos["xvid.avi"])
        first = pool.submit(other, "c", 0, 0.2, "webm").result()
        assert first[:4] == b"\x1a\x45\xdf\xa3"


def test_a_video_stays_with_the_worker_that_has_it_open(videos):
    with PreviewPool(2) as pool:
        for stamp in ("a", "b", "a", "b", "a"):
            pool.submit(LocalFile(videos["h264.mp4"]), stamp, 0, 0.1, "mp4").result()
        assert sorted(place.stamp for place in pool._places) == ["a", "b"]
        assert [place.waiting for place in pool._places] == [0, 0]


def test_a_worker_that_is_gone_is_replaced(videos):
    with PreviewPool(1) as pool:
        footage = LocalFile(videos["h264.mp4"])
        expected = pool.submit(footage, "a", 0, 0.1, "mp4").result()
        (place,) = pool._places
        os.kill(place.program.process.pid, signal.SIGKILL)
        place.program.process.wait()
        assert pool.submit(footage, "a", 0, 0.1, "mp4").result() == expected
        # One that hangs costs its own piece alone.
        pool._timeout_seconds = 0.3
        os.kill(place.program.process.pid, signal.SIGSTOP)
        with pytest.raises(DecodeError, match=r"within 0\.3 seconds"):
            pool.submit(footage, "a", 0, 0.1, "mp4").result()
        pool._timeout_seconds = 60
        assert pool.submit(footage, "a", 0, 0.1, "mp4").result() == expected


def test_closing_ends_the_workers(videos):
    with PreviewPool(1) as pool:
        pool.submit(LocalFile(videos["h264.mp4"]), "a", 0, 0.1, "mp4").result()
        process = pool._places[0].program.process
    deadline = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.poll() is not None
