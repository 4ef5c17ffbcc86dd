import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vifistore.errors import UnknownNameError, UsageError
from vifistore.videos.file_names import split_name
from vifistore.videos.listing import read_source
from vifistore.videos.match import match_of
from vifistore.videos.readers.table import parse_list

CLASSES = "id,name\n0,brush hair\n1,wave\n2,hop\n"


def parsed(write, text):
    return [(line.path, line.label) for line in parse_list(write("list.txt", text))[0]]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a/b.mp4 3", ("a/b.mp4", "3")),
        ("a/b.mp4\t3", ("a/b.mp4", "3")),
        ("a/b.mp4,3", ("a/b.mp4", "3")),
        ("a/b.mp4, brush hair", ("a/b.mp4", "brush hair")),
        ("a b (c)!.AVI brush hair", ("a b (c)!.AVI", "brush hair")),
        ("a.mp4.webm 1", ("a.mp4.webm", "1")),
        ("a,b.mp4 1", ("a,b.mp4", "1")),
        ("a.mp4", ("a.mp4", "")),
        ("a.mp4 -1", ("a.mp4", "-1")),
        ("brush_hair/x_goo_0 408 0", ("brush_hair/x_goo_0", "0")),
        ("78687 134 19", ("78687", "19")),
        ("frames/x 2", ("frames/x", "2")),
        ("frames/x,2", ("frames/x", "2")),
        ("frames x\tbrush hair", ("frames x", "brush hair")),
        ("#1_Rhythm.avi 5", ("#1_Rhythm.avi", "5")),
    ],
)
def test_forms_of_a_line(write, line, expected):
    assert parsed(write, f"\n{line}\r\n\n") == [expected]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("a.mp4 1 2", "several labels for one video"),
        ("just some words", "expected `path label`, found 'just some words'"),
        ("a,b,c", "expected `path label`"),
        (",3", "expected `path label`"),
    ],
)
def test_bad_line_is_refused_with_its_number(write, line, told):
    with pytest.raises(UsageError, match=rf"list\.txt line 3: {told}"):
        parsed(write, f"a.mp4 1\n\n{line}\n")


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("list") / "list.txt"
    path.write_bytes(content)
    try:
        lines, _ = parse_list(path)
    except UsageError:
        return
    assert lines
    assert all(line.path for line in lines)


def test_numbers_are_named_by_the_class_file_beside_the_list(make_files, write):
    make_files("a.mp4", "sub/b.mp4")
    write("data/labels.csv", CLASSES)
    text = "sub/b.mp4 2\na.mp4 0\n"
    listing = read_source(write("data/val1.txt", text))
    split = listing.splits["val1"]
    assert listing.ids == ["sub/b.mp4", "a.mp4"]
    assert listing.labels == ["hop", "brush hair"]
    assert listing.class_names == split.class_names == ["brush hair", "wave", "hop"]
    assert (split.rows, split.labels) == ([0, 1], [2, 0])
    assert split.source == "val1.txt"
    assert split.digest == hashlib.sha256(text.encode()).hexdigest()


def test_numbers_without_class_file_stay_numbers_in_their_order(make_files, write):
    root = make_files("a.mp4", "b.mp4", "c.mp4")
    listing = read_source(write("list.txt", "a.mp4 10\nb.mp4 9\nc.mp4 -1\n"), root=root)
    assert listing.class_names == ["9", "10"]
    assert listing.labels == ["10", "9", ""]
    assert listing.splits["list"].labels == [1, 0, -1]
    assert any("numbers without names" in note for note in listing.notes)


def test_number_outside_the_class_file_is_refused(make_files, write):
    make_files("a.mp4")
    write("data/labels.csv", CLASSES)
    with pytest.raises(
        UsageError,
        match=r"x\.txt line 1: label 3 is not in labels\.csv \(0 'brush hair' to 2 'hop'\)",
    ):
        read_source(write("data/x.txt", "a.mp4 3\n"))


def test_two_class_files_that_differ_leave_numbers_without_a_name(make_files, write):
    make_files("a.mp4")
    write("data/x.csv", CLASSES)
    write("data/y.csv", "id,name\n0,other\n")
    source = write("data/list.txt", "a.mp4 0\n")
    with pytest.raises(UsageError, match=r"x\.csv, y\.csv name different classes; choose one"):
        read_source(source)
    listing = read_source(source, labels=source.with_name("y.csv"))
    assert listing.labels == ["other"]


def test_names_take_the_order_and_spelling_of_a_class_file_that_knows_them(make_files, write):
    make_files("a.mp4", "b.mp4")
    write("data/labels.csv", CLASSES)
    listing = read_source(write("data/list.txt", "a.mp4 wave\nb.mp4 brush_hair\n"))
    assert listing.labels == ["wave", "brush hair"]
    assert listing.class_names == ["brush hair", "wave", "hop"]


def test_class_file_beside_the_list_that_does_not_know_a_name_is_not_used(make_files, write):
    make_files("a.mp4")
    classes = write("data/labels.csv", CLASSES)
    source = write("data/list.txt", "a.mp4 weave\n")
    listing = read_source(source)
    assert listing.class_names == ["weave"]
    assert any("labels.csv does not name weave" in note for note in listing.notes)
    with pytest.raises(UnknownNameError, match=r"Did you mean 'wave'\?.*list\.txt line 1"):
        read_source(source, labels=classes)


def test_list_without_labels_takes_its_folders_only_where_a_class_file_knows_them(
    make_files, write
):
    make_files("Brush_Hair/a.mp4", "wave/b.mp4")
    source = write("data/test.txt", "Brush_Hair/a.mp4\nwave/b.mp4\n")
    listing = read_source(source)
    assert listing.labels == ["", ""]
    assert listing.splits["test"].class_names == []
    assert listing.splits["test"].labels == [-1, -1]
    write("data/labels.csv", CLASSES)
    assert read_source(source).labels == ["brush hair", "wave"]


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("trainlist01", "train1"),
        ("test_split03", "test3"),
        ("val1", "val1"),
        ("train_rgb_split_1", "train_rgb_split_1"),
        ("my list (1)", "my_list__1_"),
        (".x", "_x"),
    ],
)
def test_name_of_the_split(stem, name):
    assert split_name(stem) == name


@pytest.mark.parametrize(
    ("paths", "rule"),
    [
        (["train/-aNccq2jvUA_000055_000065.mp4", "val/0bk_zXtqOTQ_000030_000040.mp4"], "youtube"),
        (["0wR5jVB-WPk.mp4", "3caPS4FHFF8.mp4"], "youtube"),
        (["a/video_00001.mp4", "b/video_00002.mp4"], "path"),
        (["a/0wR5jVB-WPk.mp4", "b/0wR5jVB-WPk.mp4"], "path"),
        (["a/1.mp4", "b/2.mp4"], "path"),
        (["1.mp4", "2.mp4"], "name"),
        (["Typing/v_Typing_g01_c01.avi"], "name"),
        (["wave/prelinger_LetsBeGo1953_wave_u_cm_np10_ba_med_3"], "name"),
        (["Typing/v_Typing_g01_c01.avi", "Typing/1.avi"], "path"),
    ],
)
def test_only_names_that_are_unique_by_design_are_matched_by_name(paths, rule):
    assert match_of(paths) == rule


def test_missing_videos_are_counted_named_and_no_row(make_files, write):
    root = make_files("b.mp4")
    listing = read_source(write("val.txt", "a.mp4 x\nb.mp4 y\nc.mp4 x\n"), root=root)
    assert listing.ids == ["b.mp4"]
    assert listing.missing == ["a.mp4", "c.mp4"]
    assert listing.splits["val"].rows == [0]
    assert listing.splits["val"].labels == [1]
    assert listing.splits["val"].class_names == ["x", "y"]
    assert "2 of 3 listed videos are missing: a.mp4, c.mp4" in listing.notes
    assert "split val: 2 of 3 videos are missing" in listing.notes


def test_list_of_which_nothing_is_there_asks_for_the_root(make_files, write):
    with pytest.raises(UsageError, match=r"none of the 2 listed videos .*first: a\.mp4.* --root"):
        read_source(write("val.txt", "a.mp4 x\nb.mp4 y\n"), root=make_files())


def test_path_out_of_the_root_is_refused_with_its_line(make_files, write):
    root = make_files("a.mp4")
    source = write("val.txt", f"{root}/a.mp4 x\n../b.mp4 y\n")
    with pytest.raises(UsageError, match=r"val\.txt line 2: '\.\./b\.mp4' leaves the root"):
        read_source(source, root=root)
    with pytest.raises(UsageError, match=r"line 1: '/etc/passwd.mp4' is not below the root"):
        read_source(write("val.txt", "/etc/passwd.mp4 y\n"), root=root)


def test_video_listed_twice_is_kept_once_and_two_labels_are_refused(make_files, write):
    root = make_files("a.mp4", "b.mp4")
    listing = read_source(write("val.txt", "a.mp4 x\n./a.mp4 x\nb.mp4 x\n"), root=root)
    assert listing.splits["val"].rows == [0, 1]
    assert "split val: listed more than once, kept once: a.mp4" in listing.notes
    with pytest.raises(UsageError, match=r"split val: a\.mp4 is labelled 'x' and 'y'"):
        read_source(write("val.txt", "a.mp4 x\na.mp4 y\n"), root=root)


def test_two_paths_of_one_file_are_one_video(make_files, write):
    root = make_files("x/v_Typing_g01_c01.avi")
    text = "v_Typing_g01_c01.avi {}\nTyping/v_Typing_g01_c01.avi {}\n"
    listing = read_source(write("val.txt", text.format("a", "a")), root=root)
    assert listing.ids == ["x/v_Typing_g01_c01.avi"]
    assert listing.splits["val"].rows == [0]
    assert "split val: 1 videos share their file with another" in listing.notes
    with pytest.raises(UsageError, match="is the file of another listed video"):
        read_source(write("val.txt", text.format("a", "b")), root=root)


def test_folder_of_lists_gives_one_split_each(make_files, write):
    root = make_files("a.mp4", "b.mp4", "c.mp4")
    write("lists/labels.csv", CLASSES)
    write("lists/README.txt", "What these are.")
    write("lists/train.txt", "a.mp4 0\nb.mp4 1\n")
    write("lists/val.csv", "path,label\nc.mp4,hop\na.mp4,wave\n")
    listing = read_source(root.parent / "lists", root=root)
    assert listing.ids == ["a.mp4", "b.mp4", "c.mp4"]
    assert listing.labels == ["brush hair", "wave", "hop"]
    assert listing.splits["train"].labels == [0, 1]
    assert listing.splits["val"].rows == [2, 0]
    assert listing.splits["val"].labels == [2, 1]
    assert any("1 videos have other labels in other splits" in note for note in listing.notes)


def test_split_of_a_folder_of_lists_may_be_picked(make_files, write):
    root = make_files("a.mp4", "b.mp4")
    write("lists/train.txt", "a.mp4 x\n")
    write("lists/val.txt", "b.mp4 y\nnone.mp4 y\n")
    listing = read_source(root.parent / "lists", root=root, split="val")
    assert listing.ids == ["b.mp4"]
    assert list(listing.splits) == ["val"]
    assert listing.missing == ["none.mp4"]
    with pytest.raises(UnknownNameError, match=r"unknown split 'vale'\. Did you mean 'val'"):
        read_source(root.parent / "lists", root=root, split="vale")


def test_split_with_nothing_on_disk_is_left_out_and_told(make_files, write):
    root = make_files("a.mp4")
    write("lists/train.txt", "a.mp4 x\n")
    write("lists/val.txt", "b.mp4 y\n")
    listing = read_source(root.parent / "lists", root=root)
    assert list(listing.splits) == ["train"]
    assert "split val: 1 of 1 videos are missing, so it is left out" in listing.notes


def test_text_beside_videos_does_not_make_a_folder_of_lists(make_files, write):
    make_files("run/a.mp4")
    write("data/notes.txt", "remember the milk")
    assert read_source(make_files()).ids == ["run/a.mp4"]
