import os

import pytest

from vifistore.errors import UsageError
from vifistore.videos.tree import Tree


def test_videos_are_files_by_extension_and_folders_of_images(make_files):
    root = make_files(
        "a.MP4", "b/c.webm", "b/notes.txt", "b/d.jpg.txt", "f/one/1.jpg", "f/one/2.PNG", "f/e.gif"
    )
    tree = Tree(root=root)
    assert tree.videos() == ["a.MP4", "b/c.webm", "f/e.gif", "f/one"]
    assert tree.videos("f") == ["f/e.gif", "f/one"]
    assert tree.notes() == []


def test_folder_with_images_and_other_things_is_no_video_and_is_told(make_files):
    root = make_files("a/1.jpg", "a/readme.txt", "b/1.jpg", "b/sub/x.mp4")
    tree = Tree(root=root)
    assert tree.videos() == ["b/sub/x.mp4"]
    assert tree.notes() == ["left out: folders hold images beside other things: a, b"]


def test_hidden_files_and_folders_are_passed_over(make_files):
    root = make_files(".hidden.mp4", "._a.mp4", ".trash/b.mp4", "frames/.DS_Store", "frames/1.jpg")
    tree = Tree(root=root)
    assert tree.videos() == ["frames"]
    assert not tree.holds(".hidden.mp4")
    assert not tree.holds(".trash/b.mp4")


def test_links_out_of_the_root_are_told_and_never_followed(make_files):
    outside = make_files("x.mp4", "c/y.mp4", folder="outside")
    root = make_files("real/a.mp4")
    (root / "file.mp4").symlink_to(outside / "x.mp4")
    (root / "folder").symlink_to(outside)
    (root / "up.mp4").symlink_to("../outside/x.mp4")
    (root / "inside.mp4").symlink_to("real/a.mp4")
    (root / "loop").symlink_to(".")
    (root / "broken.mp4").symlink_to("real/none.mp4")
    tree = Tree(root=root)
    assert tree.videos() == ["inside.mp4", "real/a.mp4"]
    assert tree.notes() == [
        "left out: links leave the root (--follow-links reads what they lead to): "
        "file.mp4, folder, up.mp4",
        "left out: links point to nothing: broken.mp4",
        "left out: links to folders (--follow-links enters them): loop",
    ]
    for path in ("file.mp4", "folder/x.mp4", "folder/c/y.mp4", "loop/real/a.mp4", "broken.mp4"):
        assert not tree.holds(path)
    assert tree.holds("inside.mp4")


def test_root_may_itself_be_a_link(make_files, tmp_path):
    make_files("a.mp4")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    assert Tree(root=tmp_path / "link").videos() == ["a.mp4"]


def test_pipe_is_no_video(make_files):
    root = make_files("a.mp4")
    os.mkfifo(root / "b.mp4")
    assert Tree(root=root).videos() == ["a.mp4"]


def test_names_that_cannot_be_written_are_left_out_and_told(make_files):
    root = make_files("a.mp4", "b\x1b[31m.mp4", "日本　語\u00a0.mp4")
    (root / os.fsdecode(b"caf\xe9.mp4")).touch()
    tree = Tree(root=root)
    assert tree.videos() == ["a.mp4", "日本　語\u00a0.mp4"]
    (note,) = tree.notes()
    assert "names are not UTF-8 or hold control characters" in note
    assert note.isascii()


def test_holds_knows_files_and_folders_of_frames(make_files):
    root = make_files("a/b.mp4", "f/1.jpg", "plain/x.txt")
    tree = Tree(root=root)
    assert tree.holds("a/b.mp4")
    assert tree.holds("f")
    for path in ("a", "plain", "a/c.mp4", "a/b.mp4/c", "none/b.mp4", "f/1.jpg/2"):
        assert not tree.holds(path)


def test_each_folder_is_listed_once_and_no_file_is_asked_about(make_files, monkeypatch):
    root = make_files(*(f"c{number % 3}/{number}.mp4" for number in range(60)))
    listed = []
    scandir = os.scandir

    def counted(path):
        listed.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    tree = Tree(root=root)
    monkeypatch.setattr(os, "stat", None)
    assert all(tree.holds(f"c{number % 3}/{number}.mp4") for number in range(60))
    assert len(tree.videos()) == 60
    assert len(listed) == 4


def test_very_deep_path_is_not_found(make_files):
    assert not Tree(root=make_files("a.mp4")).holds("a/" * 50_000 + "b.mp4")


def test_root_that_is_no_folder_is_refused(make_files):
    with pytest.raises(UsageError, match="is not a folder; name an existing one"):
        Tree(root=make_files("a.mp4") / "a.mp4")
