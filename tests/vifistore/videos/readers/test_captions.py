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


DIDEMO = [
    {
        **{"num_segments": 6, "times": [[0, 1]], "annotation_id": 1, "dl_link": "https://x"},
        **{"video": "1@N00_5_a.mov", "description": "a cat comes in"},
    },
    {"video": "1@N00_5_a.mov", "description": "it leaves again ", "annotation_id": 2},
]


def test_didemo(make_files, write):
    root = make_files("videos/1@N00_5_a.mp4")
    listing = read_source(write("test_data.json", json.dumps(DIDEMO)), root=root)
    assert listing.captions == [(0, "a cat comes in"), (0, "it leaves again")]
    assert listing.splits["test_data"].rows == [0]


def test_vatex_takes_the_english_captions(make_files, write):
    entries = [
        {"videoID": "G9zN5TTuGO4_000179_000189", "enCap": ["one", "two"], "chCap": ["x"]},
        {"videoID": "Ptf_2VRj-V0_000122_000132", "enCap": ["three"], "chCap": ["y"]},
    ]
    root = make_files("G9zN5TTuGO4_000179_000189.mp4", "Ptf_2VRj-V0.webm")
    listing = read_source(write("vatex.json", json.dumps(entries)), root=root)
    assert listing.captions == [(0, "one"), (0, "two"), (1, "three")]
    assert listing.ids == ["G9zN5TTuGO4_000179_000189.mp4", "Ptf_2VRj-V0.webm@122-132"]


def test_activitynet_captions(make_files, write):
    entry = {"duration": 82.7, "timestamps": [[0.8, 19.8], [17.3, 60.8]]}
    content = {
        "v_uqiMw7tQ1Cc": {**entry, "sentences": ["A weight lifter. ", " He lifts."]},
        "v_bXdq2zI1Ms0": {**entry, "sentences": ["Somebody falls."]},
    }
    root = make_files("val/v_uqiMw7tQ1Cc.mkv")
    listing = read_source(write("val_1.json", json.dumps(content)), root=root)
    assert listing.captions == [(0, "A weight lifter."), (0, "He lifts.")]
    assert listing.splits["val_1"].listed == {"": 2}
    assert any("times of their sentences" in note for note in listing.notes)
    content["v_uqiMw7tQ1Cc"]["sentences"] = "one"
    content["v_bXdq2zI1Ms0"]["sentences"] = [3]
    with pytest.raises(UsageError, match="v_bXdq2zI1Ms0: expected a list of texts 'sentences'"):
        read_source(write("val_2.json", json.dumps(content)), root=root)


MSVD = """# a remark of its authors

-4wsuPCjDBc_5_15 a squirrel is eating
-4wsuPCjDBc_5_15 a rodent eats a nut
0hyZ__3YhZc_352_356 an old man sits
"""


def test_msvd(make_files, write):
    root = make_files("YouTubeClips/-4wsuPCjDBc_5_15.avi", "YouTubeClips/0hyZ__3YhZc_352_356.avi")
    listing = read_source(write("AllVideoDescriptions.txt", MSVD), root=root)
    captions = ["a squirrel is eating", "a rodent eats a nut", "an old man sits"]
    assert listing.captions == list(zip([0, 0, 1], captions, strict=True))
    table = """VideoID,Start,End,WorkerID,Source,AnnotationTime,Language,Description
-4wsuPCjDBc,5,15,7,clean,39,English,"a squirrel, eating"
-4wsuPCjDBc,5,15,7,clean,39,Slovene,veverica je
0hyZ__3YhZc,352,356,7,clean,39,English,an old man sits
"""
    listing = read_source(write("corpus.csv", f"# a remark\n{table}"), root=root)
    assert listing.captions == [(0, "a squirrel, eating"), (1, "an old man sits")]
    table += "0hyZ__3YhZc,352,356,7,clean,39,English,an old\rman sits\n"
    with pytest.raises(UsageError, match="line 5: new-line character seen"):
        read_source(write("corpus.csv", table), root=root)
    with pytest.raises(UsageError, match="line 6: expected VID_START_END and a sentence"):
        read_source(write("AllVideoDescriptions.txt", MSVD + "0hyZ__3YhZc_352_356\n"), root=root)


def test_labels_of_clips_are_no_captions(make_files, write):
    text = "-4wsuPCjDBc_000005_000015.mp4 eating it\n0hyZ__3YhZc_000352_000356.mp4 sitting on it\n"
    root = make_files("-4wsuPCjDBc_000005_000015.mp4", "0hyZ__3YhZc_000352_000356.mp4")
    assert read_source(write("train.txt", text), root=root).captions == []


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
