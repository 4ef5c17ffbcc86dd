import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import av
import numpy as np
import pytest

from tests.vifistore.frames.conftest import write_bright_corner, write_matrix
from vifistore.errors import DecodeError, UnknownNameError, UsageError
from vifistore.frames.decoders.decoder_names import DecoderName
from vifistore.frames.decoders.decoding import (
    DECODERS,
    DecodedVideo,
    check_decoder,
    decode_video,
    decoder_version,
    load_decoder,
)
from vifistore.frames.sampling import sample_indices

VIDEOS = ["h264.mp4", "h264.mkv", "open-gop.mp4", "xvid.avi", "mpeg1.mpg"]
Numbers = Callable[[np.ndarray], list[int]]
MakeVideo = Callable[..., Path]


@pytest.fixture(params=["decord", "pyav"])
def decoder(request: pytest.FixtureRequest) -> str:
    return request.param


def decode(path: Path, decoder: str, frames: int = 16, clips: int = 1) -> DecodedVideo:
    return decode_video(path, frames=frames, clips=clips, decoder=decoder)


def reason_of(path: Path, decoder: str) -> str:
    with pytest.raises(DecodeError) as caught:
        decode(path, decoder)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("name", VIDEOS)
def test_the_planned_frames_come_out(
    videos: dict[str, Path], name: str, decoder: str, numbers_of: Numbers
) -> None:
    video = decode(videos[name], decoder, clips=2)
    planned = sample_indices(40, 16, 2)
    assert (video.num_frames, video.frames.dtype) == (40, np.uint8)
    assert [numbers_of(video.frames[clip]) for clip in video.index] == planned.tolist()
    assert len(video.frames) == len(np.unique(planned))
    np.testing.assert_allclose(video.timestamps, planned / 25, atol=2e-3)
    assert (video.timestamps.dtype, video.index.dtype) == (np.float32, np.int64)
    assert (video.width, video.height) == (64, 48)
    assert video.content_digest == hashlib.sha256(videos[name].read_bytes()).hexdigest()


def test_decord_is_trusted_only_where_a_number_tells_the_frame(
    videos: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {decode(videos[name], "decord").decoder for name in VIDEOS} == {"pyav"}
    monkeypatch.setattr("vifistore.frames.decoders.by_number.order_of", lambda scan: None)
    read_by = {name: decode(videos[name], "decord").decoder for name in VIDEOS}
    assert read_by == {
        "h264.mp4": "decord",
        "h264.mkv": "decord",
        "open-gop.mp4": "pyav",
        "xvid.avi": "pyav",
        "mpeg1.mpg": "pyav",
    }


@pytest.mark.parametrize(
    ("codec", "size", "read_by"),
    [
        ("libx264", (64, 48), "pyav"),
        # PyAV would spread the colours of a last column otherwise.
        ("mpeg4", (65, 48), "decord"),
        ("mpeg4", (64, 47), "decord"),
        # Its pictures may be kept for others though they are said to be for none.
        ("libx265", (64, 48), "decord"),
    ],
)
def test_pyav_reads_what_gives_the_same_levels(
    make_video: MakeVideo, codec: str, size: tuple[int, int], read_by: str
) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    options = {"x265-params": "log-level=none:bframes=0"} if codec == "libx265" else {}
    path = make_video("v.mp4", codec=codec, size=size, options=options)
    assert decode(path, "decord").decoder == read_by


def test_an_edit_list_cuts_frames_off(
    edited_video: Path, decoder: str, numbers_of: Numbers
) -> None:
    video = decode(edited_video, decoder, frames=6)
    assert numbers_of(video.frames) == [12, 17, 22, 27, 32, 37]
    assert (video.num_frames, video.declared_frames) == (30, 40)
    np.testing.assert_allclose(video.timestamps, [np.arange(2, 30, 5) / 25], atol=1e-3)


def test_a_short_video_repeats_frames(
    make_video: MakeVideo, decoder: str, numbers_of: Numbers
) -> None:
    video = decode(make_video("v.mp4", num_frames=3), decoder, frames=6)
    assert numbers_of(video.frames) == [0, 1, 2]
    assert video.index.tolist() == [[0, 0, 1, 1, 2, 2]]


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_rotated_videos_come_out_upright(tmp_path: Path, decoder: str, rotation: int) -> None:
    path = write_bright_corner(tmp_path / "v.mp4", rotation)
    frame = decode(path, decoder, frames=1).frames[0]
    assert frame.shape == ((64, 48, 3) if rotation % 180 else (48, 64, 3))
    # Corners clockwise from the top left: a turn moves the bright one, stored at the top right.
    corners = [frame[0, 0], frame[0, -1], frame[-1, -1], frame[-1, 0]]
    turned = {0: 1, 90: 0, 180: 3, -90: 2}[rotation]
    assert [bool(value.mean() > 128) for value in corners].index(True) == turned


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [((-1, 0, 0, 1), 0), ((1, 0, 0, -1), 2), ((0, 1, 1, 0), 3), ((0, -1, -1, 0), 1)],
)
def test_mirrored_videos_come_out_as_they_are_to_be_seen(
    tmp_path: Path, decoder: str, matrix: tuple[int, ...], corner: int
) -> None:
    path = write_matrix(write_bright_corner(tmp_path / "v.mp4", 180), matrix)
    frame = decode(path, decoder, frames=1).frames[0]
    assert frame.shape == ((48, 64, 3) if matrix[0] else (64, 48, 3))
    corners = [frame[0, 0], frame[0, -1], frame[-1, -1], frame[-1, 0]]
    assert [bool(value.mean() > 128) for value in corners].index(True) == corner


@pytest.mark.parametrize("size", [(2, 16), (10, 16), (32, 32), (50, 34)])
def test_narrow_videos_have_no_padding(
    make_video: MakeVideo, decoder: str, size: tuple[int, int], numbers_of: Numbers
) -> None:
    video = decode(make_video("v.mp4", num_frames=4, size=size), decoder, frames=4)
    assert video.frames.shape == (4, size[1], size[0], 3)
    assert numbers_of(video.frames) == [0, 1, 2, 3]


def cut(path: Path, share: float, target: Path) -> Path:
    content = path.read_bytes()
    target.write_bytes(content[: int(len(content) * share)])
    return target


@pytest.mark.parametrize("share", [0.6, 0.8, 0.95])
@pytest.mark.parametrize("name", ["h264.mp4", "xvid.avi"])
def test_a_file_cut_off_is_sampled_over_what_is_left(
    videos: dict[str, Path], tmp_path: Path, name: str, share: float, numbers_of: Numbers
) -> None:
    path = cut(videos[name], share, tmp_path / name)
    video = decode(path, "decord")
    assert 0 < video.num_frames < video.declared_frames
    planned = sample_indices(video.num_frames, 16)
    # The last frame may come from half a packet.
    assert numbers_of(video.frames[video.index[0]])[:-1] == planned[0].tolist()[:-1]
    other = decode(path, "pyav")
    assert (other.num_frames, other.declared_frames) == (video.num_frames, video.declared_frames)
    assert (other.frames == video.frames).all()


def test_damage_in_the_middle_costs_only_those_frames(
    videos: dict[str, Path], tmp_path: Path, decoder: str
) -> None:
    content = bytearray(videos["h264.mp4"].read_bytes())
    data = content.index(b"mdat")
    third = (len(content) - data) // 3
    content[data + third : data + 2 * third] = bytes(third)
    path = tmp_path / "v.mp4"
    path.write_bytes(content)
    video = decode(path, decoder)
    assert 10 <= video.num_frames < 40 == video.declared_frames


def test_bad_files_have_a_reason(videos: dict[str, Path], tmp_path: Path, decoder: str) -> None:
    files = {
        "empty": b"",
        "not a video": b"no video at all " * 100,
        "encrypted": videos["h264.mp4"].read_bytes().replace(b"avc1", b"encv"),
    }
    for reason, content in files.items():
        path = tmp_path / "bad.mp4"
        path.write_bytes(content)
        assert reason_of(path, decoder) == reason
    assert reason_of(tmp_path / "absent.mp4", decoder) == "missing"
    header_size = videos["h264.mp4"].read_bytes().index(b"mdat") + 4
    path.write_bytes(videos["h264.mp4"].read_bytes()[:header_size])
    assert reason_of(path, decoder) == "short"
    os.mkfifo(tmp_path / "pipe")
    assert reason_of(tmp_path / "pipe", decoder) == "not a video"


@pytest.mark.parametrize(
    ("content", "reason", "told"),
    [
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1234567\n",
            "pointer",
            "it is a Git LFS pointer and not the file itself; run `git lfs pull` in its folder",
        ),
        ("/annex/objects/SHA256E-s12--4d7a.mp4\n", "pointer", "run `git annex get` in its folder"),
        ("\n<!DOCTYPE html><html>404</html>", "not a video", "it is a web page under a video's"),
    ],
)
def test_what_lies_in_the_place_of_a_video_is_named(
    tmp_path: Path, decoder: str, content: str, reason: str, told: str
) -> None:
    path = tmp_path / "v.mp4"
    path.write_text(content)
    with pytest.raises(DecodeError, match=told) as caught:
        decode(path, decoder)
    assert caught.value.reason == reason


def test_a_path_that_is_not_utf8_is_no_obstacle(
    make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vifistore.frames.decoders.by_number.order_of", lambda scan: None)
    path = make_video("v.mp4")
    video = decode(path.rename(path.with_name("caf\udce9.mp4")), "decord", frames=4)
    assert video.reader == "pyav in-order"


def test_sound_alone_is_no_video(tmp_path: Path, decoder: str) -> None:

    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=8000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        silence.sample_rate = 8000
        for packet in [*stream.encode(silence), *stream.encode()]:
            output.mux(packet)
    assert reason_of(path, decoder) == "no video stream"


def test_tags_that_are_not_utf8_are_no_obstacle(
    videos: dict[str, Path], tmp_path: Path, decoder: str
) -> None:
    content = videos["xvid.avi"].read_bytes()
    assert b"Lavf" in content
    path = tmp_path / "v.avi"
    path.write_bytes(content.replace(b"Lavf", b"L\xe9\xffv"))
    assert decode(path, decoder).num_frames == 40


def test_torchcodec_is_asked_for_the_planned_frames(obedient: Callable[[str], Path]) -> None:
    video = decode(obedient("count 40"), "torchcodec", frames=5)
    assert video.frames[video.index[0], 0, 0, 0].tolist() == [4, 12, 20, 28, 36]
    np.testing.assert_allclose(video.timestamps, [[0.16, 0.48, 0.8, 1.12, 1.44]], rtol=1e-5)
    assert (video.num_frames, video.decoder) == (40, "torchcodec")


@pytest.mark.parametrize("command", ["refuse", "count 39"])
def test_what_torchcodec_cannot_read_is_read_in_order(
    obedient: Callable[[str], Path], command: str, numbers_of: Numbers
) -> None:
    video = decode(obedient(command), "torchcodec", frames=4)
    assert numbers_of(video.frames) == [5, 15, 25, 35]
    assert video.decoder == "pyav"


def test_unknown_and_missing_decoders_are_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'decord'"):
        check_decoder("decor")
    monkeypatch.setattr("vifistore.frames.decoders.decoding.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="'torchcodec' is not installed: pip install"):
        check_decoder("torchcodec")


def test_a_decoder_whose_libraries_are_missing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise RuntimeError("Could not load libtorchcodec.\nlong story")

    monkeypatch.setattr("vifistore.frames.decoders.decoding.find_spec", lambda name: object())
    monkeypatch.setattr("vifistore.frames.decoders.torchcodec_decoder.import_module", fail)
    with pytest.raises(
        UsageError, match=r"Could not load libtorchcodec\.\): pip install"
    ) as caught:
        load_decoder("torchcodec")
    assert "\n" not in str(caught.value)


def test_torchcodec_without_ffmpeg_gives_its_name_to_no_frame(
    videos: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As from 0.14 on: it is imported, and fails at every video, which PyAV would read then.
    imported = SimpleNamespace(ffmpeg_major_version=None)
    monkeypatch.setattr(
        "vifistore.frames.decoders.torchcodec_decoder.import_module", lambda name: imported
    )
    monkeypatch.setattr("vifistore.frames.decoders.decoding.find_spec", lambda name: object())
    monkeypatch.setattr("vifistore.frames.decoders.decoding.version", lambda name: "0.17.0")
    for ask in (
        lambda: load_decoder("torchcodec"),
        lambda: decoder_version("torchcodec"),
        lambda: decode(videos["h264.mp4"], "torchcodec", frames=2),
    ):
        with pytest.raises(UsageError, match=r"no shared libraries of FFmpeg\): pip install"):
            ask()
    imported.ffmpeg_major_version = 9
    assert decoder_version("torchcodec").startswith("0.17.0+av")


def test_versions_name_the_library_that_reads_the_rest() -> None:
    pyav = decoder_version("pyav")
    assert pyav[0].isdigit()
    assert decoder_version("decord").endswith(f"+av{pyav}")


def test_reading_frames_imports_no_torch() -> None:
    script = (
        "import sys, vifistore.frames.processes.pool, vifistore.frames.processes.worker\n"
        "assert 'numpy' in sys.modules\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_every_decoder_can_be_named_on_the_command_line():
    assert DECODERS.keys() == set(get_args(DecoderName))
