import pytest

from vifistore.errors import UnknownNameError, UsageError
from vifistore.videos.listing import read_source


def test_every_column(make_files, write):
    root = make_files("a.mp4", "b.mp4", "c/d.mp4")
    source = write(
        "videos.csv",
        "path,label,split,id,caption,note\r\n"
        'a.mp4,run,train,one,"A man, running.",x\r\n'
        "a.mp4,run,train,one,He runs.,x\r\n"
        "a.mp4,sport,test,,,x\r\n"
        "b.mp4,hop,train,,,x\r\n"
        "c/d.mp4,,,,Nothing.,x\r\n",
    )
    listing = read_source(source, root=root)
    assert listing.ids == ["one", "b.mp4", "c/d.mp4"]
    assert listing.paths == ["a.mp4", "b.mp4", "c/d.mp4"]
    assert listing.labels == ["run", "hop", ""]
    assert listing.class_names == ["hop", "run", "sport"]
    train, test = listing.splits["train"], listing.splits["test"]
    assert (train.rows, train.labels) == ([0, 1], [1, 0])
    assert (test.rows, test.labels) == ([0], [2])
    assert listing.captions == [(0, "A man, running."), (0, "He runs."), (2, "Nothing.")]
    assert "videos.csv: columns not read: note" in listing.notes
    assert "1 videos have other labels in other splits" in " ".join(listing.notes)


def test_path_alone_is_a_dataset_without_labels(make_files, write):
    root = make_files("a.mp4", "b.mp4")
    listing = read_source(write("all.csv", "\ufeffPath\na.mp4\nb.mp4\n"), root=root, split="mine")
    assert listing.labels == ["", ""]
    assert listing.class_names == []
    assert listing.splits["mine"].labels == [-1, -1]


def test_tabs_and_numbers_with_a_class_file(make_files, write):
    root = make_files("a b.mp4")
    classes = write("sub/classes.csv", "id,name\n0,hop\n1,run\n")
    listing = read_source(write("all.tsv", "label\tpath\n1\ta b.mp4\n"), root=root, labels=classes)
    assert listing.labels == ["run"]
    assert listing.splits["all"].labels == [1]


def test_root_is_the_folder_of_the_table_by_default(make_files, write):
    make_files("a.mp4")
    assert read_source(write("data/all.csv", "path,label\na.mp4,x\n")).ids == ["a.mp4"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("path,label\na.mp4\n", "line 2: 1 fields under 2 columns"),
        ("path,label\na.mp4,x,y\n", "line 2: 3 fields under 2 columns"),
        ("path,label\na.mp4,x\n,y\n", "line 3: path is empty"),
        ("path,path\na.mp4,x\n", "a column comes twice"),
        ("path,label\n", "lists no video"),
        ('path,label\n"a.mp4,x\n', "1 fields under 2 columns|line"),
        ("path,id\na.mp4,1\na.mp4,2\n", r"line 3: a\.mp4 has two ids"),
        ("path,id\na.mp4,1\nb.mp4,1\n", "several videos have the id 1"),
        ("path,id\na.mp4,b.mp4\nb.mp4,\n", r"several videos have the id b\.mp4"),
        ("path,label\na.mp4,x\n../b.mp4,x\n", r"line 3: '\.\./b\.mp4' leaves the root"),
        ("path,label\na.mp4," + "x" * (1 << 21) + "\n", "field larger than field limit"),
    ],
)
def test_bad_table_is_refused(make_files, write, text, told):
    with pytest.raises(UsageError, match=told) as caught:
        read_source(write("t.csv", text), root=make_files("a.mp4", "b.mp4"))
    assert "\n" not in str(caught.value)


def test_one_label_per_video_and_split(make_files, write):
    text = "path,label,split\na.mp4,x,val\na.mp4,y,val\n"
    with pytest.raises(UsageError, match=r"split val: a\.mp4 is labelled 'x' and 'y'"):
        read_source(write("t.csv", text), root=make_files("a.mp4"))


def test_unknown_split_names_those_there_are(make_files, write):
    source = write("t.csv", "path,split\na.mp4,train\n")
    with pytest.raises(UnknownNameError, match=r"unknown split 'test'\. There are: train"):
        read_source(source, root=make_files("a.mp4"), split="test")


def test_two_tables_of_a_folder_may_not_make_one_split(make_files, write):
    root = make_files("a.mp4")
    for name in ("x", "y"):
        write(f"lists/{name}.csv", "path,split\na.mp4,train\n")
    with pytest.raises(UsageError, match=r"x\.csv and y\.csv both make the split train"):
        read_source(root.parent / "lists", root=root)
