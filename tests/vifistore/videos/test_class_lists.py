"""One list of classes per dataset, unless a class file of its own says otherwise."""

import pytest

from vifistore.errors import UsageError
from vifistore.videos.class_lists import in_order, joined
from vifistore.videos.listing import read_source
from vifistore.videos.made_splits import SplitRequest, with_made_splits


@pytest.fixture
def lists(make_files, write):
    """A folder of lists: train knows a class that val lacks, and val one that train lacks."""
    write("lists/train.txt", "run/1.mp4 run\nhop/2.mp4 hop\n")
    write("lists/val.txt", "run/3.mp4 run\nwave/4.mp4 wave\n")
    root = make_files("run/1.mp4", "hop/2.mp4", "run/3.mp4", "wave/4.mp4")
    return root.parent / "lists", root


def test_lists_of_one_source_have_one_list(lists):
    source, root = lists
    listing = read_source(source, root=root)
    for split in (
        *listing.splits.values(),
        read_source(source, root=root, split="val").splits["val"],
    ):
        assert split.class_names == ["hop", "run", "wave"]
        assert not split.owns_classes
    assert listing.splits["train"].labels == [1, 0]
    assert listing.splits["val"].labels == [1, 2]
    # Halves need equal lists, and are lists of their own.
    made = with_made_splits(
        listing, SplitRequest(halves=("train", "val"), few_shot="train", shots=())
    )
    assert made.splits["base_val"].owns_classes


def test_class_files_of_their_own_stay(make_files, write):
    root = make_files("1.mp4", "2.mp4", "3.mp4")
    for half, name in (("base", "run"), ("novel", "hop")):
        write(f"labels/hmdb_51_{half}_labels.csv", f"id,name\n0,{name}\n")
        path = f"datasets_splits/base2novel_splits/hmdb_splits/{half}_val.txt"
        source = write(path, f"{1 + (half == 'novel')}.mp4 0\n")
    write("datasets_splits/base2novel_splits/hmdb_splits/all.txt", "3.mp4 wave\n")
    listing = read_source(source.parent, root=root)
    assert listing.splits["base_val"].class_names == ["run"]
    assert listing.splits["novel_val"].class_names == ["hop"]
    assert set(listing.splits["all"].class_names) == {"run", "hop", "wave"}


def test_tables_and_databases_have_one_list(make_files, write):
    root = make_files("1.mp4", "2.mp4")
    source = write("t.csv", "path,label,split\n1.mp4,run,train\n2.mp4,hop,val\n")
    for split in read_source(source, root=root).splits.values():
        assert split.class_names == ["hop", "run"]


def test_numbers_are_in_their_order():
    assert in_order({"10", "9", "1"}) == ["1", "9", "10"]
    assert in_order({"b", "10", "9"}) == ["10", "9", "b"]


def test_a_dataset_keeps_its_order_and_spelling(lists):
    source, root = lists
    listing = joined(read_source(source, root=root), ["Wave", "skip", "run"])
    assert listing.class_names == ["Wave", "skip", "run", "hop"]
    assert listing.labels == ["run", "hop", "run", "Wave"]
    assert listing.splits["val"].class_names == listing.class_names
    assert listing.splits["val"].labels == [2, 0]
    told = "1 classes are spelled as the dataset has them ('wave' as 'Wave')"
    assert told in listing.notes


@pytest.mark.parametrize(
    ("known", "label", "is_same"),
    [
        ("brush hair", "brush_hair", True),
        ("Apply Eye Makeup", "ApplyEyeMakeup", True),
        ("caf\u00e9", "cafe\u0301", True),
        ("C", "C++", False),
    ],
)
def test_what_is_another_spelling(make_files, known, label, is_same):
    listing = joined(read_source(make_files(f"{label}/1.mp4"), split="s"), [known])
    assert listing.labels == [known if is_same else label]
    assert listing.class_names == ([known] if is_same else [known, label])


def test_two_classes_never_become_one(make_files):
    listing = read_source(make_files("apple/1.mp4", "Apple/2.mp4"), split="s")
    assert joined(listing, ["apple", "Apple"]).labels == listing.labels
    with pytest.raises(UsageError, match="'Apple' and 'apple' are both 'APPLE' in the dataset"):
        joined(listing, ["APPLE"])


def test_what_a_list_names_is_counted_by_the_classes_of_the_dataset(make_files, write):
    root = make_files("1.mp4")
    source = write("t.csv", "path,label\n1.mp4,brush_hair\n2.mp4,brush_hair\n")
    (split,) = joined(read_source(source, root=root), ["run", "brush hair"]).splits.values()
    assert split.class_names == ["run", "brush hair"]
    assert split.listed == {"brush hair": 2}
