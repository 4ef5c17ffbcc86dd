"""Pieces that browsers play: which frames they show and when, in whatever form the video is."""

import io

import av
import numpy as np
import pytest
from PIL import Image

from tests.vifistore.frames.conftest import noisy_grey, write_bright_corner, write_matrix
from vifistore.errors import DecodeError, UsageError
from vifistore.frames.previews import previews
from vifistore.frames.previews.previews import KINDS, PieceMaker, kinds_made_here
from vifistore.sources.footage import LocalFile


def shown(data: bytes) -> tuple[list[float], list[int]]:
    """Times of a piece's frames, and their numbers as brightness tells them."""
    with av.open(io.BytesIO(data)) as container:
        frames = list(container.decode(video=0))
    means = [frame.to_ndarray(format="rgb24").mean() for frame in frames]
    return [frame.time for frame in frames], [round((mean - 25) / 5) for mean in means]


def piece(path, begin: float, end: float, kind="mp4") -> tuple[list[float], list[int]]:
    """`shown` of a piece of a video of which nothing else is asked."""
    with PieceMaker(LocalFile(path)) as maker:
        return shown(maker.piece(begin=begin, end=end, kind=kind))


def test_both_kinds_are_made_by_the_tested_pyav():
    assert kinds_made_here() == KINDS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["h264.mp4", "h264.mkv", "open-gop.mp4", "xvid.avi", "mpeg1.mpg"])
def test_pieces_show_each_frame_at_its_time(videos, name, kind):
    with PieceMaker(LocalFile(videos[name])) as maker:
        pieces = [maker.piece(begin=at, end=at + 0.4, kind=kind) for at in (0, 0.4, 0.8, 1.2)]
        assert maker.piece(begin=1.7, end=2.0, kind=kind) == b""
    numbers = []
    for data in pieces:
        times, of_piece = shown(data)
        assert np.allclose(times, np.arange(10) / 25, atol=1e-3)
        numbers += of_piece
    # Also of AVI, which tells times in the order of decoding: with B-frames a frame too late.
    assert numbers == list(range(40))


@pytest.mark.parametrize("name", ["h264.mp4", "h264.mkv", "open-gop.mp4", "xvid.avi", "mpeg1.mpg"])
def test_a_place_that_is_sought_is_the_one_that_is_come_to(videos, name):
    # Key frames are every 12; the last is of a video that ends within.
    assert piece(videos[name], 0.72, 0.92)[1] == [18, 19, 20, 21, 22]
    assert piece(videos[name], 1.52, 2.0)[1] == [38, 39]
    with PieceMaker(LocalFile(videos[name])) as maker:
        assert maker.piece(begin=9.0, end=10.0, kind="mp4") == b""
        numbers = shown(maker.piece(begin=0.4, end=0.6, kind="mp4"))[1]
        assert numbers == [10, 11, 12, 13, 14]


def test_a_piece_begins_with_what_is_on_the_screen(videos):
    # Between two frames, the one before is shown.
    times, numbers = piece(videos["h264.mp4"], 0.42, 0.50)
    assert (times, numbers) == ([0.0, 0.04], [10, 11])


def test_pictures_of_a_camera_without_times(make_video):
    path = make_video("raw.h264")
    assert piece(path, 0.4, 0.6)[1] == [10, 11, 12, 13, 14]


def test_many_frames_a_second_are_thinned_and_few_are_repeated(tmp_path):
    for rate, expected in ((100, 25), (2, 10)):
        with av.open(str(tmp_path / f"{rate}.avi"), "w") as output:
            stream = output.add_stream("mjpeg", rate=rate)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
            for number in range(rate):
                image = av.VideoFrame.from_ndarray(noisy_grey(number % 40, (64, 48)), "rgb24")
                output.mux(stream.encode(image))
            output.mux(stream.encode(None))
        times, numbers = piece(tmp_path / f"{rate}.avi", 0, 0.4)
        assert len(times) == round(0.4 * expected)
        assert numbers == ([0, 4, 8, 12, 16, 20, 24, 28, 32, 36] if rate == 100 else [0, 0, 0, 0])


@pytest.mark.parametrize(("rotation", "size"), [(0, (66, 50)), (90, (50, 66)), (180, (66, 50))])
def test_the_picture_is_upright(make_video, rotation, size):
    path = make_video("turned.mp4", size=(66, 50), rotation=rotation)
    with PieceMaker(LocalFile(path)) as maker:
        data = maker.piece(begin=0, end=0.2, kind="mp4")
    with av.open(io.BytesIO(data)) as container:
        context = container.streams.video[0].codec_context
        assert (context.width, context.height) == size


@pytest.mark.parametrize(("matrix", "corner"), [((-1, 0, 0, 1), 0), ((1, 0, 0, -1), 2)])
def test_the_picture_is_mirrored_where_that_is_asked(tmp_path, matrix, corner):
    path = write_matrix(write_bright_corner(tmp_path / "v.mp4", 180), matrix)
    with PieceMaker(LocalFile(path)) as maker:
        data = maker.piece(begin=0, end=0.2, kind="mp4")
    with av.open(io.BytesIO(data)) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
    corners = [frame[4, 4], frame[4, -5], frame[-5, -5], frame[-5, 4]]
    assert [bool(value.mean() > 128) for value in corners].index(True) == corner


def test_large_pictures_shrink_and_odd_sizes_become_even(make_video):
    for size, expected in (((1920, 1080), (854, 480)), ((35, 21), (36, 20))):
        path = make_video(f"{size[0]}.avi", codec="mpeg4", size=size)
        with PieceMaker(LocalFile(path)) as maker:
            data = maker.piece(begin=0, end=0.1, kind="mp4")
        with av.open(io.BytesIO(data)) as container:
            context = container.streams.video[0].codec_context
            assert (context.width, context.height) == expected


def test_a_folder_of_frames(tmp_path):
    for number in range(20):
        Image.fromarray(noisy_grey(number, (64, 48))).save(tmp_path / f"{number}.png")
    assert piece(tmp_path, 0.0, 0.2)[1] == [0, 1, 2, 3, 4]
    assert piece(tmp_path, 0.6, 2.0)[1] == [15, 16, 17, 18, 19]


def test_what_is_no_video_and_an_encoder_that_is_not_there(tmp_path, videos, monkeypatch):
    (tmp_path / "none.mp4").write_text("no video")
    with PieceMaker(LocalFile(tmp_path / "none.mp4")) as maker:
        for _ in range(2):
            with pytest.raises(DecodeError):
                maker.piece(begin=0, end=1, kind="mp4")
    with PieceMaker(LocalFile(tmp_path / "gone.mp4")) as maker, pytest.raises(DecodeError):
        maker.piece(begin=0, end=1, kind="mp4")
    monkeypatch.setattr(previews, "kinds_made_here", lambda: ("webm",))
    with PieceMaker(LocalFile(videos["xvid.avi"])) as maker:
        with pytest.raises(UsageError, match="has no encoder libx264"):
            maker.piece(begin=0, end=1, kind="mp4")
        assert maker.piece(begin=0, end=1, kind="webm")
