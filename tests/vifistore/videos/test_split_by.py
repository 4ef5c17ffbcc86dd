"""Splits told by the paths of the videos."""

import pytest

from vifistore.errors import UsageError
from vifistore.videos.listing import read_source

FOLDERS = ("train/run/1.mp4", "train/hop/2.mp4", "val/run/3.mp4")
GROUPS = tuple(f"Swing/v_Swing_g{group:02d}_c01.avi" for group in (1, 7, 8, 12))


def test_folders_called_like_splits(make_files):
    root = make_files(*FOLDERS)
    note = "folders are called like splits; --split-by '^(train|val)/' makes them so"
    assert note in read_source(root).notes
    listing = read_source(root, split_by="^(train|val)/")
    assert {name: split.rows for name, split in listing.splits.items()} == {
        "train": [0, 1],
        "val": [2],
    }
    # Both are scored over the classes of the dataset.
    assert listing.splits["val"].class_names == ["hop", "run"]
    assert listing.splits["val"].labels == [1]
    assert "splits by path: train 2, val 1" in listing.notes
    assert not any("called like splits" in note for note in listing.notes)


def test_groups_of_recordings_stay_together(make_files, write):
    root = make_files(*GROUPS)
    text = "".join(f"{path} Swing\n" for path in GROUPS)
    pattern = r"(?P<test>_g0[1-7]_)|(?P<train>_g(?:08|09|1)\d?_)"
    listing = read_source(write("all.txt", text), root=root, split_by=pattern)
    assert {name: len(split.rows) for name, split in listing.splits.items()} == {
        "test": 2,
        "train": 2,
    }
    digests = {split.digest for split in listing.splits.values()}
    assert len(digests) == 2


def test_what_does_not_match_is_in_no_split_and_is_counted(make_files):
    listing = read_source(make_files(*FOLDERS, "x/run/4.mp4"), split_by="^(val)/")
    assert list(listing.splits) == ["val"]
    assert len(listing.ids) == 4
    assert "splits by path: val 1, none 3" in listing.notes


def test_one_of_them_may_be_picked(make_files):
    listing = read_source(make_files(*FOLDERS), split_by="^(train|val)/", split="val")
    assert listing.ids == ["val/run/3.mp4"]


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("(train", "is no regular expression"),
        ("train", "has no group to take the split's name from"),
        ("^(test)/", r"matches no path \(first: train/hop/2.mp4\)"),
    ],
)
def test_pattern_that_parts_nothing_is_refused(make_files, pattern, told):
    with pytest.raises(UsageError, match=told):
        read_source(make_files(*FOLDERS), split_by=pattern)


def test_source_that_names_its_splits_is_refused(make_files, write):
    source = write("t.csv", "path,split\ntrain/run/1.mp4,train\n")
    with pytest.raises(UsageError, match="names its splits itself; leave --split-by out"):
        read_source(source, root=make_files(*FOLDERS), split_by="(train)")
