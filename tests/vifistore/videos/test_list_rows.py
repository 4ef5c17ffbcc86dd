"""Lists and tables as people have them: every form gives the same rows, or a line that says why."""

import pytest

from vifistore.errors import UsageError
from vifistore.videos.readers.table import parse_list

TWO = [("a b/x1.mp4", "0"), ("c/x2.MP4", "1")]
NAMED = [("a b/x1.mp4", "air drumming"), ("c/x2.MP4", "run")]


def lines_of(write, name, text):
    return parse_list(write(name, text))[0]


@pytest.mark.parametrize(
    "text",
    [
        "a b/x1.mp4 0\nc/x2.MP4 1\n",
        "\ufeffa b/x1.mp4 0\r\n\r\nc/x2.MP4 1\r\n",
        "a b/x1.mp4,0\nc/x2.MP4,1\n",
        "a b/x1.mp4;0;\nc/x2.MP4;1;\n",
        "a b/x1.mp4|0\nc/x2.MP4|1\n",
        '"a b/x1.mp4" 0\n"c/x2.MP4" 1\n',
        "'a b/x1.mp4',0\n'c/x2.MP4',1\n",
        "0,a b/x1.mp4\n1,c/x2.MP4\n",
        "sep=;\nVideo;Klasse\na b/x1.mp4;0\nc/x2.MP4;1\n",
        "path label\na b/x1.mp4 0\nc/x2.MP4 1\n",
        "label path\n0 a b/x1.mp4\n1 c/x2.MP4\n",
        "path frames label\na b/x1.mp4 120 0\nc/x2.MP4 90 1\n",
        "video\tlabel\na b/x1.mp4\t0\nc/x2.MP4\t1\n",
        "\u89c6\u9891,\u6807\u7b7e\na b/x1.mp4,0\nc/x2.MP4,1\n",
        "fichier \u00e9tiquette\na b/x1.mp4 0\nc/x2.MP4 1\n",
        "# made by hand\n#\n# path label\na b/x1.mp4 0\nc/x2.MP4 1\n",
        "clip_name,clip_path,class_idx\nx1.mp4,a b/x1.mp4,0\nx2.MP4,c/x2.MP4,1\n",
        "index,file_name,label,note\n7,a b/x1.mp4,0,x\n8,c/x2.MP4,1,\n",
    ],
)
def test_numbers(write, text):
    assert [(line.path, line.label) for line in lines_of(write, "l.txt", text)] == TWO


@pytest.mark.parametrize(
    "text",
    [
        "a b/x1.mp4 air drumming\nc/x2.MP4 run\n",
        'a b/x1.mp4 "air drumming"\nc/x2.MP4 "run"\n',
        "air drumming,a b/x1.mp4\nrun,c/x2.MP4\n",
        "video_id,label,class_name\na b/x1.mp4,5,air drumming\nc/x2.MP4,7,run\n",
        "nom;genre\na b/x1.mp4;air drumming\nc/x2.MP4;run\n",
    ],
)
def test_names(write, text):
    assert [(line.path, line.label) for line in lines_of(write, "l.csv", text)] == NAMED


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_what_spreadsheets_save(write, encoding):
    text = "path\tlabel\r\na b/x1.mp4\t0\r\nc/x2.MP4\t1\r\n".encode(encoding)
    assert [(line.path, line.label) for line in lines_of(write, "l.txt", text)] == TWO


def test_splits_are_told_by_their_names_where_no_header_does(write):
    text = "a.mp4,air drumming,train\nb.mp4,run,test\nc.mp4,run,train\n"
    found = [(line.label, line.split) for line in lines_of(write, "l.csv", text)]
    assert found == [("air drumming", "train"), ("run", "test"), ("run", "train")]


def test_youtube_ids_and_times_without_a_header(write):
    text = "abseiling,-3B32lodo2M,10,20,train\nair drumming,0bk_zXtqOTQ,3,13,val\n"
    (line, other) = lines_of(write, "l.csv", text)
    assert line[:2] == ("-3B32lodo2M_000010_000020.mp4", "abseiling")
    assert (other.path, other.split) == ("0bk_zXtqOTQ_000003_000013.mp4", "val")


def test_a_column_that_measures_is_no_class(write):
    assert [line.label for line in lines_of(write, "l.csv", "path,fps\na.mp4,25\n")] == [""]


@pytest.mark.parametrize(
    ("text", "path", "label"),
    [
        ("1;Holding a thing\n3;Putting a, b\n", "1", "Holding a thing"),
        ("0,frames_a\n0,frames_b\n", "frames_a", "0"),
        ("frames_a,0\nframes_b,1\n", "frames_a", "0"),
        # No header, though folders are called like columns.
        ("video 0\nclip 1\n", "video", "0"),
        ("-3B32lodo2M,10,abseiling,train\n", "-3B32lodo2M.mp4", "abseiling"),
    ],
)
def test_names_without_extension(write, text, path, label):
    assert lines_of(write, "l.csv", text)[0][:2] == (path, label)


def test_commas_inside_a_label(write):
    text = "1.webm;Putting something, something\n2.webm;Pushing a thing\n"
    assert lines_of(write, "l.csv", text)[0].label == "Putting something, something"
    text = "1.webm,Putting something, something\n2.webm,Pushing a thing\n"
    assert lines_of(write, "l.csv", text)[0].label == "Putting something, something"


def test_lines_keep_their_numbers(write):
    text = "# a\n\npath,label\na.mp4,x\n\n# b\nb.mp4,y\n"
    found = [line.where for line in lines_of(write, "l.csv", text)]
    assert found == ["l.csv line 4", "l.csv line 7"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a.mp4 0 train\nb.mp4 1 val\n", r"several fields behind every video \('0 train'\)"),
        ("a.mp4 run 1.5 3.0\nb.mp4 hop 2.5 3.0\n", "several fields behind every video"),
        (
            "a.mp4,run,7\nb.mp4,hop,8\n",
            "which column gives the class is not clear in 'a.mp4,run,7'",
        ),
        ("foo,bar,baz\n1,2,x\n", "which column holds the videos is not clear in 'foo,bar,baz'"),
        ("path label split\na.mp4 air drumming train\n", "4 fields under the 3 columns"),
        ("path label\n", "lists no video"),
        ("# only remarks\n", "lists no video"),
    ],
)
def test_what_is_not_clear_is_refused_and_shown(write, text, told):
    with pytest.raises(UsageError, match=told) as caught:
        lines_of(write, "l.csv", text)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("header", ["", "path,label\n"])
@pytest.mark.parametrize("closing", ["", '9.mp4,"long jump\n'])
def test_a_quote_that_is_not_closed_swallows_no_line(write, header, closing):
    """At the end of the file, and where another one is opened before it."""
    lines = [f"{number}.mp4,run\n" for number in range(8)]
    lines[3] = '3.mp4,"high jump\n'
    text = header + "".join(lines) + closing
    number = 4 + bool(header)
    with pytest.raises(UsageError, match=f"l.csv line {number}: .* close quotes that it opens"):
        lines_of(write, "l.csv", text)


def test_quotes_may_hold_delimiters_and_line_ends(write):
    text = 'path,label\n1.mp4,"pick, and\nplace"\n2.mp4,"say ""hop"""\n3.mp4,"hop" on\n'
    assert [(line.path, line.label) for line in lines_of(write, "l.csv", text)] == [
        *(("1.mp4", "pick, and place"), ("2.mp4", 'say "hop"'), ("3.mp4", "hop on")),
    ]
