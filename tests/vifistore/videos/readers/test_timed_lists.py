"""Lists with times, in the forms that are published: parts of videos, or clips that were cut."""

import json

import pytest

from vifistore.errors import UsageError
from vifistore.videos.listing import read_source

ONE, TWO, THREE = "sJAwsz-iVN8", "bP5KfdFJzC4", "0bk_zXtqOTQ"


@pytest.fixture
def scan(make_files, write):
    """Read a list that is given as text or as what JSON holds, with these files below the root."""

    def read(name, content, *files, **settings):
        text = content if isinstance(content, str) else json.dumps(content)
        return read_source(write(name, text), root=make_files(*files), **settings)

    return read


def segment(start, end, label):
    return {"segment": [start, end], "label": label}


def activitynet(**annotations):
    names = {"one": ONE, "two": TWO, "three": THREE}
    return {
        "version": "VERSION 1.3",
        "taxonomy": [{"nodeName": "Root", "nodeId": 0}],
        "database": {
            names[name]: {
                "duration": 180.0,
                "subset": "testing" if name == "three" else "training",
                "resolution": "320x240",
                "url": f"https://www.youtube.com/watch?v={names[name]}",
                "annotations": parts,
            }
            for name, parts in annotations.items()
        },
    }


def test_activitynets_segments_are_videos(scan):
    content = activitynet(
        one=[segment(12.5, 60.1, "Long jump"), segment(70, 80.0, "Long jump")],
        two=[segment(0.01, 9, "Camel ride")],
        three=[],
    )
    files = (f"v_{ONE}.mp4", f"more/v_{TWO}.mkv", f"{THREE}.mp4")
    listing = scan("activity_net.v1-3.min.json", content, *files)
    assert listing.ids == [
        f"v_{ONE}.mp4@12.5-60.1",
        f"v_{ONE}.mp4@70-80",
        f"more/v_{TWO}.mkv@0.01-9",
        f"{THREE}.mp4",
    ]
    assert listing.labels == ["Long jump", "Long jump", "Camel ride", ""]
    assert listing.splits["training"].rows == [0, 1, 2]
    assert listing.splits["testing"].labels == [-1]


def test_segments_that_are_none_are_left_out_and_told(scan):
    content = activitynet(
        one=[segment(5, 5, "run"), segment(1, 3, "run"), segment(1, 3, "hop"), segment(1, 3, "run")]
    )
    listing = scan("a.json", content, f"v_{ONE}.mp4")
    assert listing.ids == [f"v_{ONE}.mp4@1-3"]
    assert listing.labels == ["run"]
    notes = "\n".join(listing.notes)
    assert f"1 segments do not end behind their start, and are left out: {ONE}" in notes
    assert f"1 segments have a further label, and keep their first: {ONE}" in notes


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({"segment": [1], "label": "x"}, "no `segment` of two times"),
        ({"segment": "1-2", "label": "x"}, "no `segment` of two times"),
        ({"segment": [1, "soon"], "label": "x"}, "are no times in seconds"),
        ({"segment": [-1, 2], "label": "x"}, "are no times in seconds"),
        ({"segment": [1, 2], "label": ["x"]}, "expected a text 'label'"),
    ],
)
def test_what_is_no_segment_is_refused(scan, part, told):
    with pytest.raises(UsageError, match=f"a.json entry '{ONE}'.*{told}"):
        scan("a.json", activitynet(one=[part]), f"v_{ONE}.mp4")


CHARADES = (
    "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length\n"
    '46GP8,HR43,Kitchen,6,7,Yes,"A person, cooking.",food;stove,"A person cooks, and eats.",'
    "c092 11.90 21.20;c147 0.00 12.60,30.46\n"
    "N11GT,0KZ7,Stairs,4,6,Yes,A person runs.,bag,A person runs.,,18.38\n"
)
CLASSES = "c000 Holding some clothes\nc092 Watching/looking outside of a window\nc147 Cooking\n"


def test_charades_actions_are_videos(scan, write):
    write("Charades_v1_classes.txt", CLASSES)
    listing = scan("Charades_v1_train.csv", CHARADES, "46GP8.mp4", "N11GT.mp4")
    assert listing.ids == ["46GP8.mp4@11.9-21.2", "46GP8.mp4@0-12.6", "N11GT.mp4"]
    assert listing.labels == ["Watching/looking outside of a window", "Cooking", ""]
    (split,) = listing.splits.values()
    assert split.class_names[0] == "Holding some clothes"
    assert split.labels == [1, 2, -1]


def test_without_a_class_file_charades_classes_are_their_codes(scan):
    listing = scan("Charades_v1_test.csv", CHARADES, "46GP8.mp4", "N11GT.mp4")
    assert listing.class_names == ["c092", "c147"]


@pytest.mark.parametrize(
    ("actions", "told"),
    [
        ("c092 11.90", r"'c092 11\.90' is no action"),
        ("c092 x 2", "are no times in seconds"),
        ("c001 1 2", "class 'c001' is not in the class file"),
    ],
)
def test_what_is_no_action_is_refused_with_its_line(scan, write, actions, told):
    write("Charades_v1_classes.txt", CLASSES)
    with pytest.raises(UsageError, match=rf"c\.csv line 2: .*{told}"):
        scan("c.csv", f"id,actions,length\na,{actions},30\n", "a.mp4")


def query(vid, text):
    return {
        **{"qid": 8737, "query": text, "duration": 150, "vid": vid},
        **{"relevant_windows": [[0, 16]], "relevant_clip_ids": [0], "saliency_scores": [[4, 1, 1]]},
    }


def test_qvhighlights_clips_are_whole_and_queries_their_captions(scan):
    lines = [query(f"{TWO}_660.0_810.0", "a game"), query(f"{TWO}_660.0_810.0", "a court")]
    lines += [query(f"{ONE}_60.0_210.0", "a talk")]
    text = "\n".join(map(json.dumps, lines))
    files = (f"{TWO}_660.0_810.0.mp4", f"{ONE}_60.0_210.0.mp4")
    listing = scan("highlight_val_release.jsonl", text, *files)
    assert (listing.paths, listing.stretches) == ([*files], {})
    assert listing.captions == [(0, "a game"), (0, "a court"), (1, "a talk")]
    # One clip is never taken for another of its video, but for a part of all of it.
    listing = scan("q2.jsonl", text, f"x/{ONE}.mp4", f"{TWO}_660_810.mp4")
    assert listing.ids == [*files[:1], files[1]]


def test_of_a_whole_download_a_clip_is_the_part_that_it_is_called_by(make_files, write):
    lines = [query(f"{ONE}_60.0_210.0", "a talk"), query(f"{TWO}_0.0_150.0", "a game")]
    source = write("q.jsonl", "\n".join(map(json.dumps, lines)))
    root = make_files(f"x/{ONE}.mp4", f"{TWO}_660.0_810.0.mp4", folder="raw")
    listing = read_source(source, root=root)
    assert listing.ids == [f"x/{ONE}.mp4@60-210"]
    assert listing.missing == [f"{TWO}_0.0_150.0"]


def test_a_table_may_give_times(scan):
    text = (
        "path,label,start,end\na.mp4,run,1.5,00:01:02.5\na.mp4,hop,,1.5\nb.mp4,run,3,\nc.mp4,,,\n"
    )
    listing = scan("t.csv", text, "a.mp4", "b.mp4", "c.mp4")
    assert listing.ids == ["a.mp4@1.5-62.5", "a.mp4@0-1.5", "b.mp4@3-end", "c.mp4"]
    assert listing.labels == ["run", "hop", "run", ""]
    whole = text.replace("hop", "run")
    assert scan("t.csv", whole, "a.mp4", "b.mp4", "c.mp4", whole=True).stretches == {}
    # With the same times it is the same video.
    assert len(scan("u.csv", "path,start,end\na.mp4,1,2\na.mp4,1.0,2\n", "a.mp4").ids) == 1


def test_ids_that_parts_share_tell_them_apart(scan):
    text = "path,id,start,end\na.mp4,x,1,2\na.mp4,x,2,3\nb.mp4,y,1,2\n"
    assert scan("t.csv", text, "a.mp4", "b.mp4").ids == ["x@1-2", "x@2-3", "y"]


@pytest.mark.parametrize("times", ["2,1", "3,3", "-1,2", "nan,2", "0,inf", "1,soon", "1e400,2"])
def test_times_that_are_none_are_refused_with_their_line(scan, times):
    with pytest.raises(UsageError, match=r"t\.csv line 2: .*; mend the row"):
        scan("t.csv", f"path,start,end\na.mp4,{times}\n", "a.mp4")
