import json

import pytest

from vifistore.errors import UsageError
from vifistore.videos.detect import detect
from vifistore.videos.readers.captions import read_captions_json
from vifistore.videos.readers.database import read_database, read_records
from vifistore.videos.readers.folder import read_folder
from vifistore.videos.readers.hmdb51 import read_hmdb51
from vifistore.videos.readers.ssv2 import read_ssv2
from vifistore.videos.readers.table import read_table
from vifistore.videos.readers.ucf101 import read_ucf101

READERS = {
    "list": (read_table, "a list of"),
    "table": (read_table, "a table"),
    "captions_json": (read_captions_json, "JSON with captions"),
    "database": (read_database, "a JSON database"),
    "records": (read_records, "JSON objects"),
    "ssv2": (read_ssv2, "Something-Something V2's"),
    "hmdb51": (read_hmdb51, "HMDB51's"),
}


@pytest.mark.parametrize(
    ("name", "text", "format"),
    [
        ("x.txt", "a.mp4 1\n", "list"),
        ("x.csv", "a.mp4 1\nb.mp4 2\n", "list"),
        ("x.csv", "a.mp4,1\n", "list"),
        ("x.csv", "frames_of_a,run\nframes_of_b,hop\n", "list"),
        ("x.csv", "frames_of_a,1\nframes_of_b,0\n", "list"),
        ("x.csv", 'Label,"Path"\n', "table"),
        ("x.tsv", "path\tlabel\n", "table"),
        ("x.csv", "label,youtube_id,time_start,time_end,split\n", "table"),
        ("x.csv", "key,vid_key,video_id,sentence\n", "table"),
        ("x.csv", "file,class\na.mp4,run\n", "table"),
        ("x.csv", "video name;class id\nb/c;1\n", "table"),
        ("x.tsv", "name\tlabel\na.mp4\t0\n", "table"),
        ("x.json", json.dumps([{"video": "a", "caption": "b"}]), "captions_json"),
        ("x.json", '{"database": {"a": {"subset": "train", "annotations": {}}}}', "database"),
        ("x.json", '{"a.mp4": "run", "b.mp4": "hop"}', "database"),
        ("x.json", '[{"filename": "a.mp4", "label": 0}]', "records"),
        ("x.jsonl", '{"video": "a", "label": 0}\n{"video": "b", "label": 1}\n', "records"),
        ("x.txt", "[1] a.mp4 1\n", "list"),
        ("something-something-v2-train.json", "[]", "ssv2"),
        ("wave_test_split1.txt", "a.avi 1\n", "hmdb51"),
        ("trainlist01.txt", "a.avi 1\n", "list"),
        ("empty.txt", "", "list"),
    ],
)
def test_format_of_a_file(write, name, text, format):
    seen = detect(write(name, text))
    read, why = READERS[format]
    assert seen.read is read
    assert seen.why.startswith(why)


def test_format_of_a_folder(make_files, write):
    assert detect(make_files("a.mp4")).read is read_folder
    write("ucf/classInd.txt", "1 a\n")
    assert detect(write("ucf/trainlist01.txt", "a.avi 1\n")).read is read_ucf101
    assert detect(write("ucf/trainlist01.txt", "").parent).read is read_ucf101
    assert detect(write("lists/a.txt", "a.mp4").parent).why == "a folder of 1 lists"
    assert detect(make_files(folder="empty")).read is read_folder


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.mp4", b"\0\xff", "is a video; name the folder that holds it"),
        ("labels.csv", b"id,name\n0,a\n", "names classes and no videos"),
        ("label_map.txt", b"run\nhop\n", "names classes and no videos"),
        ("x.txt", b"a\n\xff", "x.txt line 2 is not UTF-8"),
        ("x.json", b"{", "x.json line 1: Expecting property name"),
        ("x.json", b'{"a": [1], "b": 2}', r"JSON of no known form \(it holds 'a', 'b'\)"),
        ("x.json", b"3", r"JSON of no known form \(it holds 3\)"),
    ],
)
def test_file_that_is_no_source_is_refused(write, name, text, told):
    with pytest.raises(UsageError, match=told):
        detect(write(name, text))


def test_absent_source_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"none does not exist; name a folder of videos"):
        detect(tmp_path / "none")
