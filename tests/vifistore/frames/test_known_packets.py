"""A file that many jobs read is scanned once a process, as long as it is the same file."""

import io
import os
import shutil

import numpy as np
import pytest

from vifistore.errors import DecodeError
from vifistore.frames.bitstreams import known_packets
from vifistore.frames.bitstreams.known_packets import KnownPackets
from vifistore.frames.bitstreams.packets import scan_packets
from vifistore.frames.decoders import by_time
from vifistore.frames.decoders.decoding import DecodedVideo, decode_stretches
from vifistore.frames.plans import Plan, Sampling, Span


@pytest.fixture
def scans(monkeypatch) -> list:
    """The videos that are scanned."""
    scanned = []

    def scan(video):
        scanned.append(video)
        return scan_packets(video)

    monkeypatch.setattr(known_packets, "scan_packets", scan)
    return scanned


def test_a_file_is_scanned_again_once_it_is_another(videos, tmp_path, scans):
    path, known = tmp_path / "v.mp4", KnownPackets()
    shutil.copy(videos["h264.mp4"], path)
    first = known.of(path)
    assert known.of(path) is first
    assert len(scans) == 1
    written = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    os.utime(path, ns=(written, written))
    # Of as many bytes, at the time of before: the clock of the file itself has moved.
    assert known.of(path) is not first
    assert len(scans) == 2


def test_a_file_that_is_written_to_meanwhile_is_not_known(videos, tmp_path, monkeypatch):
    path, known = tmp_path / "v.mp4", KnownPackets()
    shutil.copy(videos["h264.mp4"], path)

    def scan(video):
        table = scan_packets(video)
        with video.open("ab") as file:
            file.write(b"more")
        return table

    monkeypatch.setattr(known_packets, "scan_packets", scan)
    assert known.of(path) is not known.of(path)


@pytest.mark.parametrize("bounds", [{"most_frames": 90}, {"most_files": 2}])
def test_those_asked_for_last_are_known(videos, tmp_path, scans, bounds):
    known, paths = KnownPackets(**bounds), [tmp_path / f"{number}.mp4" for number in range(3)]
    for path in paths:
        shutil.copy(videos["h264.mp4"], path)
    for number in (0, 1, 0, 2, 0, 1):
        known.of(paths[number])
    # Of 40 frames each two are kept.
    assert scans == [paths[number] for number in (0, 1, 2, 1)]


def test_a_film_of_any_length_is_known_alone(videos, scans):
    known = KnownPackets(most_frames=39)
    assert known.of(videos["h264.mp4"]) is known.of(videos["h264.mp4"])
    assert len(scans) == 1


def test_what_is_no_file_is_scanned_anew(videos, tmp_path, scans):
    video, known = io.BytesIO(videos["h264.mp4"].read_bytes()), KnownPackets()
    assert known.of(video).num_frames == known.of(video).num_frames == 40
    assert len(scans) == 2
    (tmp_path / "no.mp4").write_text("no video")
    with pytest.raises(DecodeError):
        known.of(tmp_path / "no.mp4")


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
def test_jobs_of_one_file_read_the_same(videos, tmp_path, scans, monkeypatch, decoder):
    monkeypatch.setattr(by_time, "known_packets", KnownPackets().of)
    path = tmp_path / "v.mp4"
    shutil.copy(videos["h264.mp4"], path)
    plans = [Plan(sampling=Sampling(3), span=Span(at / 5, at / 5 + 0.2)) for at in range(6)]
    together = list(decode_stretches(path, plans, decoder=decoder))
    for plan, expected in zip(plans, together, strict=True):
        (alone,) = decode_stretches(path, [plan], decoder=decoder)
        assert isinstance(alone, DecodedVideo)
        assert isinstance(expected, DecodedVideo)
        np.testing.assert_array_equal(alone.frames, expected.frames)
    assert scans == [path]
