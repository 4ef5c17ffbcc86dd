import os

import pytest

from vifistore.errors import UnknownNameError, UsageError
from vifistore.videos.listing import read_source


def test_label_is_the_folder_that_holds_the_file(make_files):
    listing = read_source(make_files("train/run/b.mp4", "run/a.avi", "top.mkv", "hop/x/f/1.png"))
    assert listing.paths == ["hop/x/f", "run/a.avi", "top.mkv", "train/run/b.mp4"]
    assert listing.ids == listing.paths
    assert listing.labels == ["x", "run", "", "run"]
    assert listing.class_names == ["run", "x"]
    assert listing.splits == {}
    assert listing.missing == []


def test_folder_of_frames_right_in_the_source_has_no_label(make_files):
    listing = read_source(make_files("clip/1.jpg", "clip/2.jpg", "run/clip/1.jpg"))
    assert listing.paths == ["clip", "run/clip"]
    assert listing.labels == ["", "run"]


def test_named_split_holds_every_video_and_marks_the_unlabelled(make_files):
    listing = read_source(make_files("run/a.mp4", "b.mp4", "hop/c.mp4"), split="mine")
    split = listing.splits["mine"]
    assert [listing.paths[row] for row in split.rows] == ["b.mp4", "hop/c.mp4", "run/a.mp4"]
    assert split.labels == [-1, 0, 1]
    assert split.class_names == ["hop", "run"]
    assert split.source == "data"


def test_digest_of_a_named_split_follows_paths_and_labels(make_files):
    root = make_files("run/a.mp4")
    first = read_source(root, split="s").splits["s"].digest
    assert read_source(root, split="other").splits["other"].digest == first
    make_files("run/b.mp4")
    assert read_source(root, split="s").splits["s"].digest != first


def test_root_above_the_source_gives_longer_ids_but_the_same_labels(make_files):
    root = make_files("val/run/a.mp4", "val/b.mp4", "train/run/c.mp4")
    listing = read_source(root / "val", root=root)
    assert listing.ids == ["val/b.mp4", "val/run/a.mp4"]
    assert listing.labels == ["", "run"]
    assert listing.root == root


def test_source_may_be_a_link_or_a_relative_path(make_files, tmp_path, monkeypatch):
    make_files("run/a.mp4")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    assert read_source(tmp_path / "link").ids == ["run/a.mp4"]
    monkeypatch.chdir(tmp_path / "data")
    listing = read_source(".", split="s")
    assert listing.root == tmp_path / "data"
    assert listing.splits["s"].source == "data"


def test_class_file_gives_order_and_spelling(make_files, write):
    classes = write("classes.csv", "id,name\n0,wave\n1,brush hair\n2,hop\n")
    root = make_files("brush_hair/a.mp4", "wave/b.mp4")
    listing = read_source(root, labels=classes, split="s")
    assert listing.labels == ["brush hair", "wave"]
    assert listing.class_names == listing.splits["s"].class_names == ["wave", "brush hair", "hop"]
    assert listing.splits["s"].labels == [1, 0]


def test_folder_that_a_class_file_does_not_name_is_refused(make_files, write):
    classes = write("classes.csv", "id,name\n0,wave\n")
    with pytest.raises(UnknownNameError, match=r"unknown class 'weave'\. Did you mean 'wave'"):
        read_source(make_files("weave/a.mp4"), labels=classes)


@pytest.mark.parametrize("files", [(), ("notes.pdf", "run/.hidden.mp4")])
def test_folder_without_videos_is_refused_with_what_would_do(make_files, files):
    with pytest.raises(UsageError, match=r"no video below .*data; name a folder of video files"):
        read_source(make_files(*files))


def test_folder_of_links_out_of_it_says_so(make_files):
    outside = make_files("x.mp4", folder="outside")
    root = make_files()
    (root / "x.mp4").symlink_to(outside / "x.mp4")
    with pytest.raises(UsageError, match=r"left out: links leave the root .*: x\.mp4"):
        read_source(root)


def test_frames_of_one_video_as_source_are_refused(make_files):
    with pytest.raises(UsageError, match="the frames of one video; name the folder above it"):
        read_source(make_files("1.jpg", "2.jpg"))


def test_root_beside_the_source_is_refused(make_files):
    source = make_files("a.mp4")
    with pytest.raises(UsageError, match="is not below the root"):
        read_source(source, root=make_files(folder="other"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_folder_that_cannot_be_read_is_told(make_files):
    root = make_files("a.mp4", "closed/b.mp4")
    (root / "closed").chmod(0)
    try:
        listing = read_source(root)
    finally:
        (root / "closed").chmod(0o700)
    assert "left out: folders cannot be read: closed" in listing.notes
