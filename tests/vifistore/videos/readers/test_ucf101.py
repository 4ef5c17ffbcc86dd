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


@pytest.mark.parametrize("text", ["2 YoYo\n", "1 YoYo\n"])
@pytest.mark.parametrize("flat", [False, True])
def test_a_class_file_of_some_classes_takes_their_videos_alone(make_files, official, text, flat):
    files = [file.rpartition("/")[2] for file in FILES] if flat else FILES
    root = make_files(*files)
    (official / "classInd.txt").write_text(text)
    listing = read_source(official, root=root)
    assert sorted(listing.ids) == sorted(files[1:])
    assert (listing.class_names, set(listing.labels)) == (["YoYo"], {"YoYo"})
    assert {name: split.labels for name, split in listing.splits.items()} == {
        **{"test1": [0], "test2": [0], "train1": [0]},
    }
    told = "testlist01.txt: 1 of 2 lines are left out, whose classes classInd.txt does not name"
    assert f"{told}: Archery" in listing.notes


def test_ids_of_a_class_file_with_gaps_are_no_labels(make_files, official):
    (official / "classInd.txt").write_text("7 Archery\n9 YoYo\n")
    listing = read_source(official, root=make_files(*FILES))
    assert listing.class_names == ["Archery", "YoYo"]
    assert listing.splits["train1"].labels == [1]
    (official / "classInd.txt").write_text("1 Rowing\n")
    with pytest.raises(UsageError, match=r"classInd\.txt names no class of the lists in .* Rowing"):
        read_source(official, root=make_files(*FILES))


def test_class_file_that_counts_from_zero_is_refused(make_files, official):
    with pytest.raises(UsageError, match=r"ucf_labels\.csv counts from 0"):
        read_source(official, root=make_files(*FILES), labels=official / "ucf_labels.csv")
