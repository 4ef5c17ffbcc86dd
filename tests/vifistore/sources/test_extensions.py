import pytest

from vifistore.sources.extensions import VIDEO_LINE, is_frame, is_video, stem


def test_extensions_are_told_in_any_case():
    assert all(is_video(f"a.{name}") for name in ("mp4", "MKV", "webm", "avi", "mov", "ts", "gif"))
    assert all(is_frame(f"a.{name}") for name in ("jpg", "JPEG", "png"))
    assert not any(is_video(name) for name in ("mp4", "a.jpg", "a.mp4.txt", "a.mp4/b", ""))


@pytest.mark.parametrize(
    ("path", "expected"),
    [("x/a.b.mp4", "a.b"), ("x.mp4/a", "a"), ("a_1.0", "a_1.0"), ("v.MPG", "v")],
)
def test_stem_drops_folders_and_only_a_videos_extension(path, expected):
    assert stem(path) == expected


def test_line_is_parted_after_the_shortest_path_of_a_video():
    assert VIDEO_LINE.fullmatch("a b.mp4 c.mp4").groups() == ("a b.mp4", "c.mp4")
    assert VIDEO_LINE.fullmatch("a.mp4").groups() == ("a.mp4", None)
    assert VIDEO_LINE.fullmatch("a.mp4x 1") is None
