import pytest

from vifistore.videos.match import match_paths, youtube_id
from vifistore.videos.tree import Tree


def match(root, how, *paths):
    return match_paths(paths, [how] * len(paths), Tree(root=root))


@pytest.mark.parametrize(
    ("path", "id"),
    [
        ("train/-aNccq2jvUA_000055_000065.mp4", "-aNccq2jvUA"),
        ("abc_def_1-2.webm", "abc_def_1-2"),
        ("abc_def_1-2_3_14.mkv", "abc_def_1-2"),
        ("abc_def_1-2_000003.mp4", "abc_def_1-2"),
        ("v_QOlSCBRmfWY.mp4", "QOlSCBRmfWY"),
        ("abc_def_1-2_3_4_5.mp4", ""),
        ("short.mp4", ""),
        ("twelve_chars.mp4", ""),
    ],
)
def test_youtube_id(path, id):
    assert youtube_id(path) == id


def test_path_matches_nothing_but_itself(make_files):
    root = make_files("a/x.mp4", "b/y.mp4")
    found, notes = match(root, "path", "a/x.mp4", "a/y.mp4")
    assert found == ["a/x.mp4", ""]
    assert notes == []


def test_name_matches_another_folder_and_another_extension(make_files):
    root = make_files("Typing/v_Typing_g01_c01.avi", "x/30.mkv", "y/31.webm", "frames/32/1.jpg")
    found, notes = match(root, "name", "v_Typing_g01_c01.avi", "30", "31.mp4", "32.mp4", "33.mp4")
    assert found == ["Typing/v_Typing_g01_c01.avi", "x/30.mkv", "y/31.webm", "frames/32", ""]
    assert notes == [
        "1 of 5 listed videos were found by file name",
        "3 of 5 listed videos were found by file name with another extension",
    ]


def test_name_matches_a_converted_file_with_two_extensions(make_files):
    root = make_files("v/12@N02_1.3gp.mp4", "v/12@N02_2.mp4", "v/3.mov.mp4", "w/3.avi.mp4")
    found, notes = match(root, "name", "12@N02_1.3gp", "12@N02_2.3gp.mp4", "3.mpg", "3.mov")
    assert found == ["v/12@N02_1.3gp.mp4", "v/12@N02_2.mp4", "", ""]
    assert (
        notes[0] == "2 of 4 listed videos were found by file name with another number of extensions"
    )
    assert "several files fit" in notes[1]


def test_youtube_id_matches_any_prefix_and_time_stamp(make_files):
    root = make_files("some_class/-aNccq2jvUA_000001_000011.mkv", "0bk_zXtqOTQ.mp4")
    found, _ = match(
        root, "youtube", "train/-aNccq2jvUA_000055_000065.mp4", "val/0bk_zXtqOTQ_000030_000040.mp4"
    )
    assert found == ["some_class/-aNccq2jvUA_000001_000011.mkv", "0bk_zXtqOTQ.mp4"]


def test_exact_time_stamps_win_over_the_bare_id(make_files):
    root = make_files("a/-aNccq2jvUA_000001_000011.mp4", "b/-aNccq2jvUA_000055_000065.mp4")
    found, _ = match(root, "youtube", "train/-aNccq2jvUA_000055_000065.mkv")
    assert found == ["b/-aNccq2jvUA_000055_000065.mp4"]


def test_several_files_that_fit_are_told_and_not_chosen_from(make_files):
    root = make_files("a/x.avi", "b/x.avi")
    found, notes = match(root, "name", "x.avi")
    assert found == [""]
    assert "several files fit: x.avi (a/x.avi, b/x.avi)" in notes[0]


def test_each_path_keeps_its_own_rule(make_files):
    root = make_files("b/x.mp4", "b/y.mp4")
    found, _ = match_paths(["a/x.mp4", "a/y.mp4"], ["path", "name"], Tree(root=root))
    assert found == ["", "b/y.mp4"]
