import json

import pytest

from vifistore.errors import UsageError
from vifistore.videos.listing import read_source

MSRVTT = {
    "info": {"year": "2016"},
    "videos": [
        {"video_id": "video0", "split": "train", "category": 9},
        {"video_id": "video1", "split": "test", "category": 3},
    ],
    "sentences": [
        {"sen_id": 1, "video_id": "video1", "caption": "a dog barks"},
        {"sen_id": 2, "video_id": "video0", "caption": "a car is shown"},
        {"sen_id": 3, "video_id": "video0", "caption": " a car drives "},
    ],
}


def test_msrvtt_json(make_files, write):
    root = make_files("all/video0.mp4", "all/video1.webm")
    listing = read_source(write("MSRVTT_data.json", json.dumps(MSRVTT)), root=root)
    assert listing.ids == ["all/video0.mp4", "all/video1.webm"]
    assert listing.captions == [(1, "a dog barks"), (0, "a car is shown"), (0, "a car drives")]
    assert listing.splits["test"].rows == [1]
    assert listing.splits["test"].class_names == []
    assert listing.labels == ["", ""]


def test_captions_of_a_picked_split_and_of_missing_videos(make_files, write):
    source = write("MSRVTT_data.json", json.dumps(MSRVTT))
    listing = read_source(source, root=make_files("video0.mp4", "video1.mp4"), split="train")
    assert listing.captions == [(0, "a car is shown"), (0, "a car drives")]
    listing = read_source(source, root=make_files("x/video1.mp4", folder="part"))
    assert listing.captions == [(0, "a dog barks")]
    assert listing.missing == ["video0"]


def test_list_of_entries(make_files, write):
    entries = [
        {"video": "a.mp4", "caption": ["one", "two"]},
        {"video": "b.mp4", "caption": "three"},
        {"video": "a.mp4", "caption": "four"},
    ]
    listing = read_source(
        write("data/test.json", json.dumps(entries)), root=make_files("a.mp4", "b.mp4")
    )
    assert listing.captions == [(0, "one"), (0, "two"), (1, "three"), (0, "four")]
    assert listing.splits["test"].rows == [0, 1]


def test_msrvtt_tables(make_files, write):
    root = make_files("video7020.mp4", "video9770.mp4")
    text = "key,vid_key,video_id,sentence\nret0,msr9770,video9770,a person is connecting\n"
    listing = read_source(write("test.csv", text), root=root, split="1ka")
    assert listing.captions == [(0, "a person is connecting")]
    assert listing.splits["1ka"].rows == [0]
    listing = read_source(write("train.9k.csv", "video_id\nvideo7020\nvideo9770\n"), root=root)
    assert listing.splits["train.9k"].rows == [0, 1]
    assert listing.captions == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"videos": []}, "lacks the list"),
        ({"videos": [], "sentences": []}, "lists no video"),
        ({**MSRVTT, "videos": [{"video_id": "video0"}]}, "sentence 1: 'video1' is not among"),
        ({**MSRVTT, "sentences": [{"video_id": "video0"}]}, "sentence 1: expected a text"),
        ([], "lists no video"),
        (["a.mp4"], "entry 1: expected a text 'caption'"),
        ([{"video": "a.mp4", "caption": 3}], "entry 1: expected a text 'caption'"),
        ([{"caption": "x"}], "entry 1: expected a text 'video'"),
        ([{"video": "../a.mp4", "caption": "x"}], "entry 1: '../a.mp4' leaves the root"),
    ],
)
def test_bad_json_is_refused(make_files, write, content, told):
    with pytest.raises(UsageError, match=told):
        read_source(write("captions.json", json.dumps(content)), root=make_files("a.mp4"))


def test_class_file_is_refused(make_files, write):
    classes = write("sub/labels.csv", "id,name\n0,a\n")
    source = write("test.csv", "video_id,sentence\na,b\n")
    with pytest.raises(UsageError, match="gives captions and no classes"):
        read_source(source, root=make_files("a.mp4"), labels=classes)
