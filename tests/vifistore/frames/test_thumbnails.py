import io

import numpy as np
import pytest
from PIL import Image

from vifistore.errors import DecodeError
from vifistore.frames.previews.thumbnails import thumbnail, write_thumbnail


def shown(data: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(data))
    assert image.format == "JPEG"
    return np.asarray(image)


def number_of(data: bytes) -> int:
    """Number of the frame: its mean brightness is 25 + 5 i."""
    return round((shown(data).mean() - 25) / 5)


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.avi"])
def test_a_moment_and_the_middle(make_video, tmp_path, name):
    path = make_video(tmp_path / name, codec="mpeg4" if name.endswith("avi") else "libx264")
    assert abs(number_of(thumbnail(path)) - 20) <= 1
    # 25 frames a second: frame 30 begins at 1.2 s, and the key frame before it is 24.
    assert number_of(thumbnail(path, 1.2)) == 30
    assert number_of(thumbnail(path, 0)) == 0
    assert number_of(thumbnail(path, 99)) == 39


def test_a_moment_of_an_avi_whose_frames_refer_to_later_ones(make_video, tmp_path):
    path = make_video(tmp_path / "v.avi", codec="mpeg4", options={"bf": "2"})
    for number in (0, 10, 30, 39):
        assert number_of(thumbnail(path, number / 25)) == number


def test_upright_of_the_height_asked_for_and_never_enlarged(make_video, tmp_path):
    path = make_video(tmp_path / "turned.mp4", rotation=90)
    assert shown(thumbnail(path, height=32)).shape == (32, 24, 3)
    assert shown(thumbnail(path, height=500)).shape == (64, 48, 3)


def test_a_folder_of_frames(tmp_path):
    for number in range(5):
        Image.new("RGB", (40, 30), (40 * number,) * 3).save(tmp_path / f"{number}.png")
    assert round(shown(thumbnail(tmp_path)).mean() / 40) == 2
    # Times are stored as float32, which lies below the fraction for some.
    for number in range(5):
        seconds = float(np.float32(number / 25))
        assert round(shown(thumbnail(tmp_path, seconds)).mean() / 40) == number


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "x.mp4").write_text("not a video")
    for path in (tmp_path / "x.mp4", tmp_path / "missing.mp4", tmp_path):
        with pytest.raises(DecodeError):
            thumbnail(path)


def test_written_once_and_whole(make_video, tmp_path):
    path = make_video(tmp_path / "v.mp4")
    target = write_thumbnail(path, tmp_path / "a" / "b.jpg", 0.4)
    assert number_of(target.read_bytes()) == 10
    target.write_bytes(b"kept")
    assert write_thumbnail(path, target).read_bytes() == b"kept"
    assert [file.name for file in target.parent.iterdir()] == ["b.jpg"]
