"""Seconds that a damaged file lost are told, and those in which a picture stands still are not."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vifistore.errors import DecodeError
from vifistore.frames.bitstreams.lost_time import NO_LOSS, lost_frames, lost_packets
from vifistore.frames.complaints import Complaints
from vifistore.frames.decoders.decoding import DecodedVideo, decode_stretches
from vifistore.frames.plans import WHOLE_VIDEO, Plan, Sampling, Span

CODECS = {"mp4": "libx264", "mkv": "libx264", "webm": "libvpx", "ts": "libx264", "flv": "libx264"}
FAST = {
    "libx264": {"preset": "ultrafast", "bf": "2"},
    # A positive speed follows the clock, and so would where the middle of the file lies.
    "libvpx": {"deadline": "realtime", "cpu-used": "-8"},
}
SECONDS, RATE = 20, 25


def write(path: Path, times: np.ndarray) -> Path:
    """A video of noise, whose frames are shown at some seconds."""
    levels = np.random.default_rng(0)
    codec = CODECS.get(path.suffix[1:], "mpeg2video")
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=RATE, options=FAST.get(codec, {}))
        stream.width, stream.height, stream.pix_fmt = 96, 80, "yuv420p"
        stream.gop_size = RATE
        base = Fraction(1, RATE) if codec == "mpeg2video" else Fraction(1, 1000)
        stream.codec_context.time_base = base
        for time in times:
            image = levels.integers(0, 256, (10, 12, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(time / base), base
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> dict[str, Path]:
    """Videos of one frame rate, by the kind of container."""
    folder = tmp_path_factory.mktemp("sound")
    times = np.arange(SECONDS * RATE) / RATE
    return {kind: write(folder / f"v.{kind}", times) for kind in (*CODECS, "mpg")}


def damaged(path: Path, source: Path, how: str) -> Path:
    """A file without the middle fifth of its bytes, or what is behind it."""
    data = source.read_bytes()
    begin, end = len(data) * 2 // 5, len(data) * 3 // 5
    between = {"dropped": b"", "zeroed": bytes(end - begin)}
    rest = between[how] + data[end:] if how in between else b""
    path.write_bytes(data[:begin] + rest)
    return path


def rows_of(path: Path, decoder: str, spans: list[Span]) -> list[DecodedVideo | DecodeError]:
    plans = [Plan(sampling=Sampling(50, fps=1.0), span=span) for span in spans]
    found = []
    for row in decode_stretches(path, plans, decoder=decoder):
        assert isinstance(row, DecodedVideo | DecodeError)
        found.append(row)
    return found


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("mkv", "dropped"),
        ("mkv", "zeroed"),
        ("webm", "dropped"),
        ("webm", "zeroed"),
        ("flv", "dropped"),
        ("flv", "zeroed"),
        ("ts", "dropped"),
        ("mpg", "dropped"),
        ("mp4", "zeroed"),
    ],
)
def test_rows_tell_what_was_lost_of_them(tmp_path, sound, decoder, kind, how):
    path = damaged(tmp_path / f"v.{kind}", sound[kind], how)
    spans = [Span(0, 6), Span(6, 10), Span(10, 15), Span(15, 20)]
    before, first, second, after = rows_of(path, decoder, spans)
    # A fifth of the bytes, from 8 seconds on.
    for row, least, most in ((before, 0, 0), (first, 1.5, 3), (second, 1.5, 3), (after, 0, 0)):
        assert isinstance(row, DecodedVideo)
        assert least <= row.lost_seconds <= most
    (inside,) = rows_of(path, decoder, [Span(9, 10.5)])
    assert isinstance(inside, DecodeError)
    assert inside.reason == "decode error"
    assert "it has lost what is from 9 to 10.5 seconds" in str(inside)
    for sampling in (Sampling(8), Sampling(50, fps=1.0)):
        (whole,) = decode_stretches(path, [Plan(sampling=sampling)], decoder=decoder)
        assert isinstance(whole, DecodedVideo)
        assert 3.3 < whole.lost_seconds < 5


@pytest.mark.parametrize("kind", ["mkv", "webm", "flv"])
def test_what_is_cut_off_is_told_where_the_header_says_how_long_it_was(tmp_path, sound, kind):
    path = damaged(tmp_path / f"v.{kind}", sound[kind], "cut off")
    row, none = rows_of(path, "decord", [Span(6, 10), Span(12, 14)])
    assert isinstance(row, DecodedVideo)
    assert 1.5 < row.lost_seconds < 3
    assert isinstance(none, DecodeError)
    (whole,) = rows_of(path, "decord", [WHOLE_VIDEO])
    assert isinstance(whole, DecodedVideo)
    assert 11 < whole.lost_seconds < 13


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
@pytest.mark.parametrize("kind", [*CODECS])
def test_a_picture_that_stands_still_is_no_loss(tmp_path, sound, decoder, kind):
    # As of a screen: moves of a few frames, and up to eight seconds without any.
    levels = np.random.default_rng(1)
    steps = np.where(levels.random(200) < 0.06, levels.uniform(1, 8, 200), 0.04)
    still = write(tmp_path / f"v.{kind}", np.cumsum(steps))
    for path in (still, sound[kind]):
        spans = [WHOLE_VIDEO, *(Span(start, start + 2) for start in range(0, 18, 2))]
        for row in rows_of(path, decoder, spans):
            assert isinstance(row, DecodedVideo)
            assert row.lost_seconds == 0
            assert row.num_frames == row.declared_frames


def test_a_still_picture_elsewhere_in_a_damaged_file_is_no_loss():
    seconds = np.concatenate([np.arange(100) * 0.04, 10 + np.arange(100) * 0.04])
    assert lost_packets(seconds, [10], 0.0).tolist() == []
    assert np.allclose(lost_packets(seconds, [101], 0.0), [[4.0, 10.0]])
    assert np.allclose(lost_packets(seconds, [199], 20.0), [[14.0, 20.0]])
    # What cannot be known.
    assert lost_packets(seconds[:1], [0], 9.0) is NO_LOSS
    assert lost_packets(np.append(seconds, np.nan), [101], 0.0) is NO_LOSS


def test_frames_that_do_not_come_are_a_loss():
    promised = np.concatenate([np.arange(100) * 0.04, 10 + np.arange(100) * 0.04])
    came = np.delete(promised, np.s_[20:60])
    assert np.allclose(lost_frames(came, promised, NO_LOSS), [[0.8, 2.4]])
    packets = np.array([[4.0, 10.0], [14.0, 15.0]])
    expected = [[0.8, 2.4], [4.0, 10.0], [14.0, 15.0]]
    assert np.allclose(lost_frames(came, promised, packets), expected)
    assert np.allclose(lost_frames(promised[:50], promised, NO_LOSS), [[2.0, 14.0]])
    # The first frames did not come: nobody knows which the others are.
    assert lost_frames(promised[5:] - 0.17, promised, packets) is packets


def test_two_listeners_leave_the_log_as_it_was(tmp_path, sound):
    path = damaged(tmp_path / "v.mkv", sound["mkv"], "zeroed")
    with Complaints() as outer:
        with Complaints() as inner, av.open(str(path)) as container:
            assert not inner.take("matroska,webm")
            for _ in container.demux(video=0):
                pass
            assert not inner.take("flv")
        assert not outer.take("matroska,webm")
        assert av.logging.get_level() == av.logging.ERROR
    assert av.logging.get_level() is None
