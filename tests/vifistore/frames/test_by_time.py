"""Stretches of files of many kinds: the very frames and times that reading all of it gives."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.vifistore.frames.conftest import noisy_grey, write_video
from vifistore.errors import DecodeError
from vifistore.frames.bitstreams.packets import scan_packets
from vifistore.frames.decoders import by_time
from vifistore.frames.decoders.decoding import DecodedVideo, decode_stretches
from vifistore.frames.decoders.pyav_decoder import Conversion
from vifistore.frames.plans import FrameTimes, Plan, Sampling, Span
from vifistore.frames.raw_frames import clean_seconds

SPANS = [Span(0.1, 0.5), Span(0.5, 0.9), Span(0.7, 1.1), Span(1.3)]
SAMPLINGS = {
    "rate": Sampling(99, fps=7.0),
    "every": Sampling(99, every=3),
    "number": Sampling(4, clips=2),
    "windows": Sampling(3, clips=2, stride=2),
}
# As every frame is brighter than the one before, encoders would make each a key frame.
_FEW_KEYS = {"sc_threshold": "1000000000"}
_FEW_KEYS_264 = "scenecut=0:keyint=12:min-keyint=12"
# name -> codec and options; `bf` are frames that refer to later ones.
KINDS = {
    "mjpeg.avi": ("mjpeg", {"strict": "unofficial"}),
    "plain.avi": ("mpeg4", _FEW_KEYS),
    "bf.avi": ("mpeg4", _FEW_KEYS | {"bf": "2"}),
    "h264.avi": ("libx264", {"x264-params": f"{_FEW_KEYS_264}:bframes=0"}),
    "h264-b.avi": ("libx264", {"x264-params": f"{_FEW_KEYS_264}:bframes=3:b-pyramid=none"}),
    "pyramid.avi": ("libx264", {"x264-params": f"{_FEW_KEYS_264}:bframes=3"}),
    "h264.mp4": ("libx264", {"x264-params": f"{_FEW_KEYS_264}:bframes=3"}),
    "hevc.mp4": ("libx265", {"x265-params": "log-level=none:open-gop=1:bframes=3:scenecut=0"}),
    "vp9.webm": ("libvpx-vp9", {"deadline": "realtime"}),
    "mpeg2.mkv": ("mpeg2video", _FEW_KEYS | {"bf": "2"}),
    "refresh.mkv": ("libx264", {"x264-params": f"{_FEW_KEYS_264}:intra-refresh=1:bframes=0"}),
    "open-gop.mkv": ("libx264", {"x264-params": f"open-gop=1:{_FEW_KEYS_264}:b-adapt=0:bframes=2"}),
    "open-gop.mp4": ("libx264", {"x264-params": f"open-gop=1:{_FEW_KEYS_264}:b-adapt=0:bframes=2"}),
    "h264.ts": ("libx264", {"x264-params": _FEW_KEYS_264}),
    "h264.flv": ("libx264", {"x264-params": _FEW_KEYS_264}),
}


@pytest.fixture(scope="session")
def kinds(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("kinds")
    made = {}
    for name, (codec, options) in KINDS.items():
        options = options | ({"preset": "ultrafast"} if codec == "libx265" else {})
        made[name] = write_video(folder / name, codec=codec, options=options)
    variable = {"vfr.mp4": write_variable(folder / "vfr.mp4")}
    variable["vfr.mkv"] = write_variable(folder / "vfr.mkv")
    return made | variable


def write_variable(path: Path) -> Path:
    """40 frames whose distances grow and shrink, two key frames in all but the first."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=100, options={"bf": "2"})
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 48, "yuv420p", 12
        stream.codec_context.time_base = Fraction(1, 100)
        time = 0
        for number in range(40):
            image = av.VideoFrame.from_ndarray(noisy_grey(number, (64, 48)), format="rgb24")
            image.pts, image.time_base = time, Fraction(1, 100)
            time += 1 + number % 8
            output.mux(stream.encode(image))
        output.mux(stream.encode())
    return path


def whole(path: Path) -> tuple[np.ndarray, FrameTimes]:
    """All frames in order, uint8 [frame height width 3], and when they are shown."""
    frames, seconds = [], []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        fps = float(stream.average_rate or 25)
        for frame in container.decode(stream):
            frames.append(frame.to_ndarray(format="rgb24"))
            seconds.append(frame.time)
    return np.stack(frames), FrameTimes(clean_seconds(seconds, fps))


def check(path: Path, sampling: Sampling, decoder: str, spans=SPANS) -> list[DecodedVideo]:
    frames, times = whole(path)
    plans = [Plan(sampling=sampling, span=span) for span in spans]
    found = list(decode_stretches(path, plans, decoder=decoder))
    videos = [video for video in found if isinstance(video, DecodedVideo)]
    assert len(videos) == len(plans), found
    for plan, video in zip(plans, videos, strict=True):
        expected = plan(times)
        np.testing.assert_array_equal(video.frames[video.index], frames[expected.numbers])
        np.testing.assert_allclose(video.timestamps, expected.seconds, atol=1e-5)
    return videos


@pytest.mark.parametrize("decoder", ["pyav", "decord"])
@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS)
def test_stretches_hold_what_reading_all_of_the_file_gives(kinds, sampling, decoder):
    for name, path in kinds.items():
        try:
            check(path, sampling, decoder)
        except (AssertionError, ValueError) as error:
            raise AssertionError(name) from error


def test_an_edit_list_is_followed(edited_video):
    assert scan_packets(edited_video).seeking is None
    for sampling in SAMPLINGS.values():
        check(edited_video, sampling, "decord", [Span(0.1, 0.5), Span(0.5)])


def test_an_avi_whose_times_are_those_of_decoding_is_read_in_order(kinds):
    seeks = {name: scan_packets(kinds[name]).seeking is not None for name in KINDS if "avi" in name}
    assert [name for name in seeks if not seeks[name]] == ["h264-b.avi", "pyramid.avi"]
    # Of so few frames the times that come out never go back.
    check(kinds["h264-b.avi"], Sampling(99, fps=3.0), "pyav", [Span(0.04, 1.5)])


@pytest.mark.parametrize("decoder", ["pyav", "decord"])
def test_packets_copied_from_an_avi_have_times_of_decoding(kinds, tmp_path, decoder):
    """As `ffmpeg -i a.avi -c copy a.mp4` leaves them."""
    path = tmp_path / "copied.mp4"
    with av.open(str(kinds["pyramid.avi"])) as source, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.pts, packet.stream = packet.dts, stream
                output.mux(packet)
    for sampling in SAMPLINGS.values():
        for video in check(path, sampling, decoder):
            assert video.reader == "pyav in-order"
    check(path, Sampling(8), decoder, [Span()])


def frames_decoded(monkeypatch, path: Path, spans: list[Span], sampling: Sampling) -> list[int]:
    """Numbers of the frames that came out of the decoder."""
    found, from_key = [], by_time._from_key

    def noted(container, stream, key, seeking, wanted):
        for number, frame in from_key(container, stream, key, seeking, wanted):
            found.append(number)
            yield number, frame

    monkeypatch.setattr(by_time, "_from_key", noted)
    check(path, sampling, "pyav", spans)
    return found


def test_reading_begins_at_the_key_frame_before_and_goes_forward(kinds, monkeypatch):
    path, rate = kinds["h264.mp4"], Sampling(99, fps=5.0)
    decoded = frames_decoded(monkeypatch, path, [Span(1.0, 1.2), Span(1.2, 1.4)], rate)
    # Key frames are 12, 24 and 36; the last moment is 1.3 seconds.
    assert (decoded[0], decoded[-1]) == (24, 32)
    assert decoded == sorted(set(decoded))


def test_groups_of_pictures_in_which_nothing_is_wanted_are_left_out(kinds, monkeypatch):
    decoded = frames_decoded(monkeypatch, kinds["h264.mp4"], [Span()], Sampling(9, every=15))
    assert {0, 15, 30} <= set(decoded) <= {0, *range(12, 16), *range(24, 31)}
    # Frames that no other refers to are left out, too.
    assert len(decoded) < 12


def test_a_frame_of_two_stretches_is_decoded_and_cut_once(kinds, monkeypatch):
    converted, to_rgb = [], Conversion.to_rgb
    monkeypatch.setattr(Conversion, "to_rgb", lambda *a: converted.append(a[1].pts) or to_rgb(*a))
    spans = [Span(0.2, 0.8), Span(0.4, 1.0), Span(0.6, 1.2)]
    videos = check(kinds["h264.mp4"], Sampling(99, every=1), "pyav", spans)
    assert len(converted) == len(set(converted)) == 25
    assert sum(len(video.numbers) for video in videos) == 45
    assert videos[1].numbers == tuple(range(10, 25))


def test_a_frame_that_is_not_found_has_the_rest_read_in_order(kinds, monkeypatch):
    """As where a container seeks to another place than its times say."""
    path, begun, from_key = kinds["h264.mp4"], [], by_time._from_key

    def lost(container, stream, key, seeking, wanted):
        begun.append(key)
        frames = from_key(container, stream, key, seeking, wanted)
        return (pair for pair in frames if key < 24 or pair[0] > 27)

    monkeypatch.setattr(by_time, "_from_key", lost)
    check(path, Sampling(99, every=1), "pyav", [Span(0, 0.2), Span(1.0, 1.3)])
    assert begun == [0, 24]


@pytest.mark.parametrize("name", ["h264.mp4", "plain.avi", "h264.ts"])
def test_a_stretch_behind_the_end_costs_no_other(kinds, name):
    plans = [Plan(sampling=Sampling(9, fps=5.0), span=span) for span in (SPANS[0], Span(7, 9))]
    good, none = decode_stretches(kinds[name], plans, decoder="decord")
    assert isinstance(good, DecodedVideo)
    assert isinstance(none, DecodeError)
    assert none.reason == "short"
    assert str(kinds[name]) in str(none)


def test_what_stands_against_a_file_is_told_of_every_stretch(tmp_path):
    (tmp_path / "v.mp4").write_text("no video")
    plans = [Plan(sampling=Sampling(9), span=span) for span in SPANS]
    found = list(decode_stretches(tmp_path / "v.mp4", plans, decoder="decord"))
    assert [error.reason for error in found if isinstance(error, DecodeError)] == [
        "not a video"
    ] * 4


def test_a_stream_whose_times_are_not_those_of_its_packets_is_planned_anew(kinds, monkeypatch):
    """Packets that give no frame shift the times of all behind them."""
    table = scan_packets(kinds["h264.ts"])
    assert table.expected is not None
    shifted = FrameTimes(np.concatenate([[0], table.expected.seconds + 0.2]))
    wrong = replace(table, expected=shifted, num_frames=41)
    monkeypatch.setattr(by_time, "known_packets", lambda video: wrong)
    for sampling in SAMPLINGS.values():
        check(kinds["h264.ts"], sampling, "pyav")


def test_an_image_folder_has_stretches(tmp_path):
    for number in range(40):
        Image.fromarray(noisy_grey(number, (32, 24))).save(tmp_path / f"{number}.png")
    plans = [Plan(sampling=Sampling(9, fps=5.0), span=span) for span in SPANS]
    found = list(decode_stretches(tmp_path, plans, decoder="decord"))
    times = FrameTimes(np.arange(40) / 25)
    for plan, video in zip(plans, found, strict=True):
        assert isinstance(video, DecodedVideo)
        assert video.numbers == tuple(plan(times).numbers[0].tolist())
