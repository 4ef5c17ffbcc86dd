"""What the default decoder reads through PyAV, kind by kind: the levels of reading all in order."""

import io
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.vifistore.frames.conftest import noisy_grey
from vifistore.frames.bitstreams import packets
from vifistore.frames.bitstreams.packets import Scan, scanned
from vifistore.frames.bitstreams.pictures import PictureOrder, order_of
from vifistore.frames.decoders import by_number, wanted_only
from vifistore.frames.decoders.decoding import DECODERS, decode_video
from vifistore.frames.decoders.kept import WHOLE
from vifistore.frames.decoders.wanted_only import read_wanted
from vifistore.frames.plans import Plan, Sampling
from vifistore.frames.raw_frames import RawFrames

NUM_FRAMES, SIZE = 60, (72, 64)
X264 = "keyint=30:min-keyint=30:scenecut=0:b-adapt=0"
MPEG4 = {"sc_threshold": "1000000000"}
VPX = {"deadline": "realtime", "cpu-used": "8"}
# Name of the file, codec, options, and at most how many frames are decoded of 60 for 3 wanted.
KINDS: dict[str, tuple[str, str, dict[str, str], int]] = {
    "h264-b": ("mp4", "libx264", {"x264-params": f"{X264}:bframes=3:b-pyramid=none"}, 20),
    "h264-pyramid": ("mkv", "libx264", {"x264-params": f"{X264}:bframes=3"}, 24),
    "h264-no-b": ("mp4", "libx264", {"x264-params": f"{X264}:bframes=0"}, 40),
    "h264-open": ("mp4", "libx264", {"x264-params": f"{X264}:bframes=2:open-gop=1"}, 40),
    "h264-recovering": ("mp4", "libx264", {"x264-params": f"{X264}:bframes=0:intra-refresh=1"}, 55),
    "mpeg4": ("mp4", "mpeg4", {"g": "12", "bf": "0", **MPEG4}, 30),
    "mpeg4-b": ("mkv", "mpeg4", {"g": "12", "bf": "2", **MPEG4}, 28),
    "avi": ("avi", "mpeg4", {"g": "12", "bf": "0", **MPEG4}, 30),
    "avi-b": ("avi", "mpeg4", {"g": "12", "bf": "2", **MPEG4}, 25),
    "avi-h264": ("avi", "libx264", {"x264-params": f"{X264}:bframes=0"}, 40),
    "avi-h264-b": ("avi", "libx264", {"x264-params": f"{X264}:bframes=3:b-pyramid=none"}, 20),
    "avi-h264-pyramid": ("avi", "libx264", {"x264-params": f"{X264}:bframes=3"}, 24),
    "avi-h264-open": ("avi", "libx264", {"x264-params": f"{X264}:bframes=2:open-gop=1"}, 40),
    "avi-h264-slices": ("avi", "libx264", {"x264-params": f"{X264}:bframes=2:slices=4"}, 25),
    "vp8": ("webm", "libvpx", {"g": "12", **VPX}, 30),
    "vp9": ("webm", "libvpx-vp9", {"g": "12", **VPX}, 30),
    "av1": ("mp4", "libsvtav1", {"preset": "12", "g": "12"}, 30),
}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("kinds")
    return {
        name: write(folder / f"{name}.{extension}", codec, options)
        for name, (extension, codec, options, _) in KINDS.items()
        if codec in av.codecs_available
    }


def write(path: Path, codec: str, options: dict[str, str]) -> Path:
    """A grey that grows by frame, with noise and a bright square that wanders."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25, options={"g": "30", **options})
        stream.width, stream.height = SIZE
        stream.pix_fmt, stream.bit_rate = "yuv420p", 2_000_000
        for number in range(NUM_FRAMES):
            image = noisy_grey(number // 2, SIZE)
            image[8:24, number // 2 : number // 2 + 16] = 220
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        output.mux(stream.encode())
    return path


@pytest.fixture
def num_decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that gets a 1 for every frame that comes out of the decoder."""
    found: list[int] = []

    def decoded(*arguments: Any) -> Iterator[Any]:
        for frame in plain(*arguments):
            found.append(1)
            yield frame

    plain = wanted_only.decode_needed
    monkeypatch.setattr(wanted_only, "decode_needed", decoded)
    return found


def assert_same(
    path: Path, frames: int, *, read_by: str = "pyav wanted-only", is_retry: bool = False
) -> None:
    """The default decoder and reading all in order give the same."""
    picked = decode_video(path, frames=frames, clips=1, decoder="decord")
    in_order = decode_video(path, frames=frames, clips=1, decoder="pyav")
    assert (picked.reader, picked.was_retried) == (read_by, is_retry)
    assert in_order.reader == "pyav in-order"
    assert (picked.num_frames, picked.declared_frames) == (
        *(in_order.num_frames, in_order.declared_frames),
    )
    np.testing.assert_array_equal(picked.frames, in_order.frames)
    np.testing.assert_array_equal(picked.timestamps, in_order.timestamps)


@pytest.mark.parametrize("name", KINDS)
def test_levels_and_times_are_those_of_reading_all(
    kinds: dict[str, Path], name: str, num_decoded: list[int]
) -> None:
    if name not in kinds:
        pytest.skip("this FFmpeg has no encoder for it")
    for frames in (1, 7, 20, NUM_FRAMES, 3):
        num_decoded.clear()
        assert_same(kinds[name], frames)
        assert frames <= len(num_decoded) <= NUM_FRAMES
    assert len(num_decoded) <= KINDS[name][3]


def test_frames_of_a_variable_rate_keep_their_times(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"x264-params": X264})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 100)
        for number in range(NUM_FRAMES):
            frame = av.VideoFrame.from_ndarray(noisy_grey(number // 2, SIZE))
            frame.pts, frame.time_base = number * number // 4 + number, Fraction(1, 100)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    for frames in (3, 11):
        assert_same(path, frames)


@pytest.mark.parametrize("name", ["h264-b", "mpeg4", "avi-b", "avi-h264-b"])
def test_what_does_not_come_as_it_should_is_read_again(
    kinds: dict[str, Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(scan: Scan) -> PictureOrder | None:
        order = order_of(scan)
        assert order is not None
        return replace(order, numbers=np.roll(order.numbers, 3))

    monkeypatch.setattr(by_number, "order_of", wrong)
    # Of what is not as the packets tell decord's numbers may be wrong, too.
    assert_same(kinds[name], 5, read_by="pyav in-order", is_retry=True)


@pytest.mark.parametrize("name", ["h264-b", "h264-no-b", "avi-b", "avi", "avi-h264-b"])
@pytest.mark.parametrize("share", [0.4, 0.7, 0.97])
def test_files_cut_off_are_read_as_before(
    kinds: dict[str, Path], tmp_path: Path, name: str, share: float
) -> None:
    content = kinds[name].read_bytes()
    if name.startswith("h264"):
        content = in_front(kinds[name], tmp_path / "front.mp4").read_bytes()
    path = tmp_path / f"cut.{KINDS[name][0]}"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(by_number, "order_of", lambda scan: None)
        before = decode_video(path, frames=6, clips=1, decoder="decord")
    after = decode_video(path, frames=6, clips=1, decoder="decord")
    assert 0 < after.num_frames == before.num_frames < NUM_FRAMES
    np.testing.assert_array_equal(after.frames, before.frames)
    np.testing.assert_array_equal(after.timestamps, before.timestamps)


def in_front(path: Path, target: Path) -> Path:
    """A copy of a file with its head before its data, so that it can be read when it is cut off."""
    with (
        av.open(str(path)) as source,
        av.open(str(target), "w", options={"movflags": "faststart"}) as output,
    ):
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    return target


def test_key_frames_that_recover_in_time_are_no_starts(kinds: dict[str, Path]) -> None:
    for name, count in (
        *(("h264-recovering", 1), ("h264-no-b", 2), ("avi", 5), ("mpeg4", 5)),
        *(("avi-h264-b", 2), ("avi-h264-open", 1)),
    ):
        with scanned(kinds[name]) as scan:
            order = order_of(scan)
            assert order is not None
            assert order.starts.sum() == count, name


@pytest.mark.parametrize("name", ["h264-b", "h264-pyramid", "avi-b", "mpeg4-b", "avi-h264-b"])
def test_damage_in_what_is_referred_to_is_noticed_before_it_is_shown(
    kinds: dict[str, Path], tmp_path: Path, name: str
) -> None:
    with scanned(kinds[name]) as scan:
        order = order_of(scan)
        assert order is not None
        latest = np.maximum.accumulate(order.numbers)
        place = next(n for n in range(30, NUM_FRAMES) if order.numbers[n] < latest[n])
        referred = int(np.flatnonzero(order.numbers == latest[place])[0])
        data = bytes(scan.packets[referred])
    path = tmp_path / kinds[name].name
    content = kinds[name].read_bytes()
    assert content.count(data) == 1
    third = len(data) // 3
    path.write_bytes(content.replace(data, data[:third] + b"\xff" * (len(data) - third)))
    number = order.numbers[place : place + 1]
    for file, is_sound in ((kinds[name], True), (path, False)):
        with scanned(file) as scan:
            (frame,) = read_wanted(scan, order_of(scan), number)
            assert (frame is not None) == is_sound


class Counting(io.BytesIO):
    """Bytes that count how many of them are read."""

    num_read = 0

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        self.num_read += len(found)
        return found


@pytest.mark.parametrize("name", ["h264-b", "h264-pyramid", "avi-b", "avi-h264-b", "vp9"])
def test_what_is_read_in_pieces_is_read_once(kinds: dict[str, Path], name: str) -> None:
    frames, num_read = [], []
    for decoder in ("decord", "pyav"):
        video = Counting(kinds[name].read_bytes())
        (found,) = DECODERS[decoder].decode(video, [Plan(sampling=Sampling(4))], WHOLE)
        assert isinstance(found, RawFrames)
        frames.append(found.frames)
        num_read.append(video.num_read)
    np.testing.assert_array_equal(*frames)
    # In order, all is read twice.
    assert num_read[0] < 0.6 * num_read[1]


def test_files_of_many_bytes_are_left_to_decord(
    kinds: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packets, "_KEPT_BYTES", 1000)
    assert_same(kinds["h264-b"], 5, read_by="decord by-number")
