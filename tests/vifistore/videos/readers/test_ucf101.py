import pytest

from vifistore.errors import UsageError
from vifistore.videos.listing import read_source

FILES = ("Archery/v_Archery_g01_c01.avi", "YoYo/v_YoYo_g01_c02.avi", "YoYo/v_YoYo_g08_c01.avi")


@pytest.fixture
def official(write):
    write("lists/classInd.txt", "1 Archery\r\n2 YoYo\r\n")
    write("lists/ucf_labels.csv", "id,name\n0,Archery\n1,YoYo\n")
    write("lists/trainlist01.txt", f"{FILES[2]} 2\r\n")
    write("lists/testlist01.txt", f"{FILES[0]}\r\n{FILES[1]}\r\n")
    return write("lists/testlist02.txt", f"{FILES[2]}\r\n").parent


@pytest.mark.parametrize("flat", [False, True])
def test_official_lists_with_class_folders_or_flat(make_files, official, flat):
    files = [file.rpartition("/")[2] for file in FILES] if flat else FILES
    listing = read_source(official, root=make_files(*files))
    assert sorted(listing.ids) == sorted(files)
    assert list(listing.splits) == ["test1", "test2", "train1"]
    assert listing.class_names == ["Archery", "YoYo"]
    test = listing.splits["test1"]
    assert [listing.labels[row] for row in test.rows] == ["Archery", "YoYo"]
    assert test.labels == [0, 1]
    assert listing.splits["train1"].labels == [1]
    assert listing.splits["train1"].class_names == ["Archery", "YoYo"]


def test_one_official_list(make_files, official):
    listing = read_source(official / "trainlist01.txt", root=make_files(*FILES))
    assert listing.ids == [FILES[2]]
    assert listing.labels == ["YoYo"]
    assert list(listing.splits) == ["train1"]


def test_picked_split_keeps_every_class(make_files, official):
    listing = read_source(official, root=make_files(*FILES), split="test2", names="words")
    assert listing.ids == [FILES[2]]
    assert listing.class_names == ["Archery", "Yo Yo"]
    assert listing.labels == ["Yo Yo"]
    assert "class names are read words: 1 changed" in listing.notes


def test_class_file_that_counts_from_zero_is_refused(make_files, official):
    with pytest.raises(UsageError, match=r"ucf_labels\.csv counts from 0"):
        read_source(official, root=make_files(*FILES), labels=official / "ucf_labels.csv")
