import os
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vifistore.videos.probe import Probe, probe, probe_all


def make_video(path: Path, num_frames=12, width=64, height=48, title="") -> Path:
    with av.open(str(path), "w") as container:
        if title:
            container.metadata["title"] = title
        stream = container.add_stream("mpeg4", rate=Fraction(24))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(num_frames):
            image = np.full((height, width, 3), number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return make_video(tmp_path_factory.mktemp("probe") / "a.mp4", title="TITLE-12345")


@pytest.mark.parametrize("extension", ["mp4", "mkv", "avi"])
def test_header_of_a_video(tmp_path, extension):
    path = make_video(tmp_path / f"a.{extension}")
    result = probe(path)
    status = os.stat(path)
    assert (result.num_frames, result.fps, result.width, result.height) == (12, 24.0, 64, 48)
    assert result.duration_seconds == pytest.approx(0.5, abs=0.05)
    assert (result.size_bytes, result.mtime_ns) == (status.st_size, status.st_mtime_ns)


@pytest.mark.parametrize("offset", [0, 5])
def test_matroska_tells_when_its_last_frame_ends_and_not_how_long_it_is(tmp_path, offset):
    path = tmp_path / "late.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), number, np.uint8))
            frame.pts, frame.time_base = number + 25 * offset, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    found = probe(path)
    assert found.duration_seconds == pytest.approx(2.0, abs=0.05)
    assert found.num_frames in (49, 50, 51)


def test_title_in_another_encoding_does_not_matter(video, tmp_path):
    content = video.read_bytes()
    assert content.count(b"TITLE-12345") == 1
    path = tmp_path / "b.mp4"
    path.write_bytes(content.replace(b"TITLE-12345", b"\xff\xfe\x80\x81E-12345"))
    assert probe(path).num_frames == 12


def test_folder_of_frames(tmp_path):
    for name in ("2.png", "10.png"):
        with av.open(str(tmp_path / name), "w", format="image2") as container:
            stream = container.add_stream("png", rate=1)
            stream.width, stream.height, stream.pix_fmt = 20, 10, "rgb24"
            image = np.zeros((10, 20, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
            container.mux(stream.encode())
    (tmp_path / "._2.png").write_bytes(b"x")
    (tmp_path / "0.png").symlink_to("none.png")
    os.mkfifo(tmp_path / "1.png")
    os.utime(tmp_path / "2.png", ns=(5, 5))
    result = probe(tmp_path)
    assert (result.num_frames, result.width, result.height) == (2, 20, 10)
    assert (result.fps, result.duration_seconds) == (0, 0)
    assert result.size_bytes == sum(os.stat(tmp_path / n).st_size for n in ("2.png", "10.png"))
    assert result.mtime_ns == os.stat(tmp_path / "10.png").st_mtime_ns


def test_what_is_no_video_gives_zeros(tmp_path, capfd):
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.mp4").write_text("words " * 1000)
    for name in ("pipe.mp4", "folder", "none.mp4", "nul\0.mp4"):
        assert probe(str(tmp_path / name)) == Probe()
    for name in ("empty.mp4", "text.mp4"):
        result = probe(tmp_path / name)
        assert (result.num_frames, result.width) == (0, 0)
        assert result.size_bytes == os.stat(tmp_path / name).st_size
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "playlist",
    [
        "ffconcat version 1.0\nfile {name}\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{name}\n#EXT-X-ENDLIST\n",
    ],
)
def test_playlist_that_calls_itself_a_video_opens_nothing(video, tmp_path, playlist):
    shutil.copy(video, tmp_path / "secret.ts")
    path = tmp_path / "list.mp4"
    path.write_text(playlist.format(name="secret.ts"))
    assert probe(path).width == 0


def test_name_that_looks_like_an_address_is_a_file(video, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "concat:a.mp4"
    shutil.copy(video, name)
    assert probe(name).num_frames == 12


@settings(deadline=None, max_examples=50)
@given(
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=20),
    kept=st.floats(0, 1),
)
@example(changes=[(0.96, 0)], kept=1.0)
def test_damaged_file_never_raises_and_its_numbers_can_be_stored(video, changes, kept):
    content = bytearray(video.read_bytes())
    for place, value in changes:
        content[int(place * (len(content) - 1))] = value
    end = int(kept * len(content))
    path = video.with_name("damaged.mp4")
    path.write_bytes(content[:end])
    result = probe(path)
    assert 0 <= result.num_frames < 1 << 41
    assert 0 <= result.width <= 1 << 16
    assert 0 <= result.height <= 1 << 16
    assert np.isfinite([result.fps, result.duration_seconds]).all()
    assert min(result.fps, result.duration_seconds) >= 0
    assert result.size_bytes == end


def test_probes_come_in_order_and_only_a_little_ahead(video, tmp_path):
    asked = []

    def paths():
        for number in range(200):
            asked.append(number)
            yield video if number % 2 else tmp_path / "none.mp4"

    probes = probe_all(paths(), num_workers=2)
    assert next(probes).num_frames == 0
    assert next(probes).num_frames == 12
    assert len(asked) < 50
    assert [result.num_frames for result in probes] == [0, 12] * 99
    assert list(probe_all([], num_workers=2)) == []


@pytest.mark.shared
def test_real_clips_and_hard_ones(shared):
    paths = sorted(path for path in (shared / "videos").rglob("*.*") if path.is_file())
    results = dict(zip(paths, probe_all(paths, num_workers=2), strict=True))
    for path, result in results.items():
        if "action" in path.parts:
            assert result.num_frames > 0, path
            assert result.width > 0, path
        assert result.size_bytes == path.stat().st_size
    hard = shared / "videos" / "hard"
    assert results[hard / "file-type__fixture-corrupt.mkv"].width == 0
    assert results[hard / "moviepy__no_duration.webm"].duration_seconds == 0
    assert results[hard / "torchcodec__testsrc2_vp9.webm"].num_frames == 30
