"""JSON that labels videos, in the forms that the tools of Kinetics and ActivityNet write."""

import json

import pytest

from vifistore.errors import UsageError
from vifistore.videos.listing import read_source

ONE, TWO = "-3B32lodo2M", "0bk_zXtqOTQ"


def entry(label, subset="train", **fields):
    return {"subset": subset, "annotations": {"label": label, **fields}}


@pytest.fixture
def scan(make_files, write):
    def read(content, *files, name="k.json", **settings):
        text = content if isinstance(content, str) else json.dumps(content)
        return read_source(write(name, text), root=make_files(*files), **settings)

    return read


def test_kinetics_with_segments(scan):
    content = {
        ONE: entry("abseiling", segment=[10.0, 20.0]) | {"duration": 10.0, "url": "https://x"},
        TWO: entry("air drumming", "validate", segment=[3.0, 13.0]),
    }
    listing = scan(content, f"abseiling/{ONE}_000010_000020.mp4", f"v/{TWO}_3_13.mkv")
    assert listing.paths == [f"abseiling/{ONE}_000010_000020.mp4", f"v/{TWO}_3_13.mkv"]
    assert listing.labels == ["abseiling", "air drumming"]
    assert listing.splits["train"].rows == [0]
    assert listing.splits["validate"].rows == [1]
    assert listing.splits["validate"].class_names == ["abseiling", "air drumming"]


@pytest.mark.parametrize("file", ["{}_000010_000020.mp4", "{}_10_20.mp4", "{}_0010_0020.webm"])
def test_of_several_clips_the_times_tell_however_they_are_padded(scan, file):
    content = {ONE: entry("a", segment=[10, 20])}
    other = f"a/{ONE}_000050_000060.mp4"
    assert scan(content, f"a/{file.format(ONE)}", other).paths == [f"a/{file.format(ONE)}"]


def test_database_with_labels_gives_the_order_of_the_classes(scan):
    content = {
        "labels": ["wave", "hop", "run"],
        "database": {f"{ONE}_000010_000020": entry("run"), TWO: entry("wave", "val")},
    }
    listing = scan(content, f"{ONE}_000010_000020.mp4", f"{TWO}.mp4")
    assert listing.class_names == listing.splits["val"].class_names == ["wave", "hop", "run"]
    assert listing.splits["train"].labels == [2]


def test_activitynet_has_segments_and_v_before_its_ids(scan):
    segments = [{"label": "run", "segment": [0, 3]}, {"label": "run", "segment": [5, 9]}]
    content = {
        "taxonomy": [],
        "database": {
            ONE: {"subset": "training", "annotations": segments},
            TWO: {"subset": "testing", "annotations": []},
        },
    }
    listing = scan(content, f"v_{ONE}.mp4", f"v_{TWO}.mkv")
    assert listing.labels == ["run", "run", ""]
    assert listing.splits["testing"].labels == [-1]


def test_names_of_other_datasets(scan):
    content = {"database": {"v_Swing_g01_c01": entry("Swing"), "x_1": entry("Hop")}}
    listing = scan(content, "Swing/v_Swing_g01_c01.avi", "Hop/x_1.avi")
    assert listing.labels == ["Swing", "Hop"]
    assert scan({"a/1.mp4": "run", "b/2.mp4": "hop"}, "a/1.mp4", "b/2.mp4").labels == ["run", "hop"]


@pytest.mark.parametrize("is_lines", [False, True])
def test_list_of_objects(scan, write, is_lines):
    entries = [
        {"filename": "a b.mp4", "label": 0, "split": "train", "total_frames": 5},
        {"filename": "c.mp4", "label": [1], "split": "val"},
    ]
    text = "\n".join(map(json.dumps, entries)) if is_lines else json.dumps(entries)
    classes = write("classes.csv", "id,name\n0,run\n1,hop\n")
    listing = scan(text, "a b.mp4", "c.mp4", name="l.jsonl", labels=classes)
    assert listing.labels == ["run", "hop"]
    assert set(listing.splits) == {"train", "val"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({ONE: {"annotations": [{"label": "a"}, {"label": "b"}]}}, "several labels for one video"),
        ([{"path": "a.mp4", "label": ["x", "y"]}], "entry 1: expected one text 'label'"),
        ([{"path": "a.mp4", "label": "x"}, {"label": "y"}], "entry 2 names no video"),
        ([{"path": "a.mp4", "label": "x"}, 3], "entry 2: expected an object, found '3'"),
        ({"../a.mp4": "x"}, "leaves the root"),
        ({"train": [["a.mp4", 0]], "val": []}, r"of no known form \(it holds 'train', 'val'\)"),
    ],
)
def test_what_is_no_label_is_refused(scan, content, told):
    with pytest.raises(UsageError, match=told) as caught:
        scan(content, "a.mp4")
    assert len(str(caught.value)) < 400
