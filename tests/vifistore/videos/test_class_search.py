import pytest

from vifistore.videos.class_search import class_files_of, is_class_file

TABLE = "id,name\n0,{}\n1,{}\n"


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("any.csv", "id,name\n", True),
        ("any.csv", "path,label\n", False),
        ("label_map.txt", "run\n", True),
        ("k400_label_map.txt", "run\n", True),
        ("category.txt", "run\n", True),
        ("classInd.txt", "1 run\n", True),
        ("something-something-v2-labels.json", "{}", True),
        ("any.csv", "0,run\n1,hop\n", True),
        ("any.csv", "label,name\n0,run\n1,hop\n", True),
        ("any.csv", "name;index\nrun;0\nhop;1\n", True),
        ("any.csv", "id,label\n1,run\n2,hop\n3,run\n", False),
        ("any.csv", "0,a.mp4\n1,b.mp4\n", False),
        ("any.csv", "frames_a,0\nframes_b,1\n", False),
        ("any.csv", "1,0\n2,1\n", False),
        ("kinetics_classnames.json", "{}", True),
        ("id2label.json", "{}", True),
        ("labels.txt", "a/b.mp4 0\n", False),
        ("labels.txt", "path label\na/b.mp4 0\n", False),
        ("train.txt", "a b\n", False),
    ],
)
def test_class_files_are_told_from_lists(write, file, content, expected):
    assert is_class_file(write(file, content)) is expected


def names(source, given=None):
    return [file.names for file in class_files_of(source, given)]


def test_table_beside_the_list_comes_before_a_list_of_names(write):
    source = write("train.txt", "a.mp4 0\n")
    assert names(source) == []
    write("label_map.txt", "brush_hair\nwave\n")
    assert names(source) == [["brush_hair", "wave"]]
    write("labels.csv", TABLE.format("brush hair", "wave"))
    assert names(source) == [["brush hair", "wave"]]


def test_of_several_the_one_that_shares_the_first_word_is_taken(write):
    source = write("k400_val_list.txt", "a.mp4 0\n")
    write("k400_labels.csv", TABLE.format("a", "b"))
    write("k600_labels.csv", TABLE.format("c", "d"))
    assert names(source) == [["a", "b"]]
    assert names(write("val.txt", "a.mp4 0\n")) == [["a", "b"], ["c", "d"]]


def test_equal_names_count_once_and_a_given_file_is_the_only_one(write):
    source = write("val.txt", "a.mp4 0\n")
    write("x.csv", TABLE.format("a", "b"))
    write("y.csv", TABLE.format("a", "b"))
    assert names(source) == [["a", "b"]]
    assert names(source, write("sub/z.csv", TABLE.format("c", "d"))) == [["c", "d"]]


@pytest.mark.parametrize(
    ("source", "file"),
    [
        ("datasets_splits/hmdb_splits/val1.txt", "hmdb_51_labels.csv"),
        ("datasets_splits/base2novel_splits/hmdb_splits/base_val.txt", "hmdb_51_base_labels.csv"),
        ("datasets_splits/base2novel_splits/ucf_splits/novel_val.txt", "ucf_101_novel_labels.csv"),
        (
            "datasets_splits/base2novel_splits/ssv2_splits/fs_base_s1_train.txt",
            "ssv2_174_base_labels.csv",
        ),
        ("datasets_splits/ssv2_splits/validation.txt", "ssv2_labels.csv"),
        ("datasets_splits/k400_splits/train_tiny.txt", "kinetics_400_labels.csv"),
        ("datasets_splits/k600_splits/ZS_split2_K600_eval.txt", "ZS_split2_K600.csv"),
    ],
)
def test_layout_of_the_papers_lists(write, source, file):
    write(f"labels/{file}", TABLE.format("right", "one"))
    write(f"labels/other_{file}", TABLE.format("wrong", "one"))
    assert names(write(source, "a.mp4 0\n")) == [["right", "one"]]
