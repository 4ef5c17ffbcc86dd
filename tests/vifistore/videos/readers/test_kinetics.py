import pytest

from vifistore.errors import UsageError
from vifistore.videos.listing import read_source

HEADER = "label,youtube_id,time_start,time_end,split\n"


def test_official_table_finds_videos_by_their_youtube_id(make_files, write):
    root = make_files(
        "val/yoga/-aNccq2jvUA_000055_000065.mp4", "x/0bk_zXtqOTQ.webm", "0wR5jVB-WPk_1_11.mkv"
    )
    source = write(
        "k.csv",
        HEADER
        + "yoga,-aNccq2jvUA,55,65,val\n"
        + '"air drumming",0bk_zXtqOTQ,30,40,train\n'
        + "yoga,0wR5jVB-WPk,3.0,13.0,train\n"
        + "yoga,3caPS4FHFF8,3,13,train\n",
    )
    listing = read_source(source, root=root)
    assert listing.paths == [
        "val/yoga/-aNccq2jvUA_000055_000065.mp4",
        "x/0bk_zXtqOTQ.webm",
        "0wR5jVB-WPk_1_11.mkv",
    ]
    assert listing.labels == ["yoga", "air drumming", "yoga"]
    # Files that are called by the times are clips, the other one is the whole download.
    assert listing.stretches == {1: (30, 40)}
    assert listing.splits["train"].labels == [0, 1]
    assert listing.missing == ["3caPS4FHFF8_000003_000013.mp4"]


def test_challenge_list_has_no_label(make_files, write):
    root = make_files("-aNccq2jvUA.mp4")
    listing = read_source(write("test.csv", "youtube_id,split\n-aNccq2jvUA,test\n"), root=root)
    assert listing.labels == [""]
    assert listing.splits["test"].labels == [-1]


def test_folder_of_official_tables(make_files, write):
    root = make_files("-aNccq2jvUA.mp4", "0bk_zXtqOTQ.mp4")
    write("k400/train.csv", HEADER + "yoga,-aNccq2jvUA,55,65,train\n")
    write("k400/validate.csv", HEADER + "hop,0bk_zXtqOTQ,30,40,validate\n")
    listing = read_source(root.parent / "k400", root=root)
    assert listing.labels == ["yoga", "hop"]
    assert {name: split.rows for name, split in listing.splits.items()} == {
        "train": [0],
        "validate": [1],
    }


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("yoga,../../../etc,55,65,val", "is no YouTube id"),
        ("yoga,,55,65,val", "youtube_id is empty"),
        ("yoga,-aNccq2jvUA,inf,65,val", "are no times in seconds"),
        ("yoga,-aNccq2jvUA,x,65,val", "are no times in seconds"),
    ],
)
def test_bad_row_is_refused_with_its_line(make_files, write, row, told):
    with pytest.raises(UsageError, match=rf"k\.csv line 2: .*{told}"):
        read_source(write("k.csv", f"{HEADER}{row}\n"), root=make_files("-aNccq2jvUA.mp4"))


def test_one_video_may_be_in_several_draws_of_classes(make_files, write):
    root = make_files("any/-aNccq2jvUA.mp4", "any/0bk_zXtqOTQ.mp4")
    draws = "datasets_splits/k600_splits/ZS_split{}_K600_eval.txt"
    paths = ["train/-aNccq2jvUA_000055_000065.mp4", "test/0bk_zXtqOTQ_000030_000040.mp4"]
    write("labels/ZS_split1_K600.csv", "id,name\n0,acting\n1,yoga\n")
    write("labels/ZS_split2_K600.csv", "id,name\n0,yoga\n1,zumba\n")
    write(draws.format(1), f"{paths[0]} 1\n{paths[1]} 0\n")
    source = write(draws.format(2), f"{paths[0].replace('train', 'test')} 0\n")
    listing = read_source(source.parent, root=root)
    assert listing.ids == ["any/-aNccq2jvUA.mp4@55-65", "any/0bk_zXtqOTQ.mp4@30-40"]
    assert listing.labels == ["yoga", "acting"]
    assert listing.class_names == ["acting", "yoga", "zumba"]
    assert listing.splits["ZS_split1_K600_eval"].labels == [1, 0]
    assert listing.splits["ZS_split2_K600_eval"].rows == [0]
    assert listing.splits["ZS_split2_K600_eval"].class_names == ["yoga", "zumba"]
