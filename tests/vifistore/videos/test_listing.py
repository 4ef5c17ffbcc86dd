import hashlib
import time
from pathlib import Path

import pytest

from vifistore.errors import UnknownNameError, UsageError
from vifistore.videos.listing import read_source


def test_names_that_are_no_words_say_what_makes_them_such(make_files):
    assert read_source(make_files("run/a.mp4")).notes[-1] == "class names are read as-is"
    notes = read_source(make_files("brush_hair/b.mp4", "ShavingBeard/c.mp4")).notes
    told = "--names words makes words of 2 of them, of ShavingBeard Shaving Beard"
    assert notes[-1] == f"class names are read as-is; {told}"


def test_the_folder_that_one_is_in_has_a_name(make_files, monkeypatch):
    monkeypatch.chdir(make_files("run/a.mp4"))
    assert read_source(Path()).notes[0] == "read data as a folder of videos"


def test_notes_say_what_was_seen_and_how_names_are_read(make_files):
    notes = read_source(make_files("brush_hair/a.mp4"), names="spaces").notes
    assert notes == [
        "read data as a folder of videos",
        "class names are read spaces: 1 changed",
    ]


def test_cleaning_reaches_labels_classes_and_splits(make_files):
    root = make_files("ApplyEyeMakeup/a.mp4", "brush_hair/b.mp4", "c.mp4")
    listing = read_source(root, names="words", split="all")
    assert listing.labels == ["Apply Eye Makeup", "brush hair", ""]
    assert listing.class_names == ["Apply Eye Makeup", "brush hair"]
    assert listing.splits["all"].class_names == listing.class_names


def test_unknown_cleaning_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(UnknownNameError, match="unknown cleaning of class names 'nice'"):
        read_source(tmp_path / "none", names="nice")


def test_root_that_does_not_exist_is_refused(write, tmp_path):
    with pytest.raises(UsageError, match="none is not a folder; name an existing one"):
        read_source(write("x.txt", "a.mp4 1\n"), root=tmp_path / "none")


def test_empty_list_is_refused(write):
    with pytest.raises(UsageError, match=r"x\.txt lists no video; write one `path label` line"):
        read_source(write("x.txt", "\n\n"))


def test_list_of_240_000_videos_is_read_in_seconds(make_files, write, monkeypatch):
    count = 240_000
    names = [f"{number}.webm" for number in range(count)]
    lines = "".join(f"{name} {number % 174}\n" for number, name in enumerate(names))
    source = write("train.txt", lines)
    root = make_files("0.webm")
    # Stands for a folder of as many files, whose making would take longer than the test.
    monkeypatch.setattr("vifistore.videos.tree.Tree._list", lambda self, path: _folder(names))
    start = time.process_time()
    listing = read_source(source, root=root)
    seconds = time.process_time() - start
    assert len(listing.ids) == count
    assert len(listing.splits["train"].class_names) == 174
    assert listing.splits["train"].digest == hashlib.sha256(lines.encode()).hexdigest()
    # About 2 s of an idle core; a shared machine may take several times as long.
    assert seconds < 15


def _folder(names):
    from vifistore.videos.tree import Folder

    return Folder(files=frozenset(names))
