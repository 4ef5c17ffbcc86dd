import json

import pytest

from vifistore.errors import UsageError
from vifistore.videos.listing import read_source

NAMES = {"Holding something": "0", "Pushing something so that it falls": "1"}
TRAIN = [
    {
        "id": "78687",
        "label": "holding a pot",
        "template": "Holding [something]",
        "placeholders": ["a pot"],
    },
    {"id": "5", "label": "", "template": "Pushing [something] so that it falls"},
]


@pytest.fixture
def official(write):
    write("lists/something-something-v2-train.json", json.dumps(TRAIN))
    write("lists/something-something-v2-test.json", '[{"id": "6"}]')
    return write("lists/something-something-v2-labels.json", json.dumps(NAMES)).parent


def test_official_json(make_files, official):
    listing = read_source(official, root=make_files("78687.webm", "5.mp4", "sub/6.webm"))
    assert sorted(listing.ids) == ["5.mp4", "78687.webm", "sub/6.webm"]
    assert listing.class_names == list(NAMES)
    train, test = listing.splits["train"], listing.splits["test"]
    assert [listing.paths[row] for row in train.rows] == ["78687.webm", "5.mp4"]
    assert train.labels == [0, 1]
    assert test.labels == [-1]
    assert [(listing.paths[row], text) for row, text in listing.captions] == [
        ("78687.webm", "holding a pot")
    ]


def test_one_file_with_another_split_name(make_files, official):
    source = official / "something-something-v2-train.json"
    listing = read_source(source, root=make_files("78687.webm", "5.webm"), split="mine")
    assert listing.splits["mine"].rows == [0, 1]
    assert listing.splits["mine"].class_names == list(NAMES)


def test_short_names_are_known_by_their_content(make_files, write):
    root = make_files("78687.webm", "5.webm")
    write("lists/train.json", json.dumps(TRAIN))
    write("lists/validation.json", '[{"video": "5.webm", "id": "1", "caption": "x"}]')
    listing = read_source(root.parent / "lists", root=root)
    assert list(listing.splits) == ["train"]
    assert listing.class_names == ["Holding something", "Pushing something so that it falls"]
    assert read_source(root.parent / "lists/validation.json", root=root).captions == [(0, "x")]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[]", "is not a list of videos"),
        ('{"id": "1"}', "is not a list of videos"),
        ("[3]", "entry 1: expected a text 'template'"),
        ('[{"id": "1"}, {"id": null}]', "entry 2: expected a text 'id'"),
        ('[{"id": true}]', "entry 1: expected a text 'id'"),
        ('[{"id": "../1"}]', "entry 1: '../1.webm' leaves the root"),
        ('[{"id": "1"},\n]', "line 2: "),
        ("[" * 100_000, "cannot be parsed|line"),
    ],
)
def test_bad_json_is_refused(make_files, write, content, told):
    with pytest.raises(UsageError, match=told) as caught:
        read_source(
            write("something-something-v2-validation.json", content), root=make_files("1.webm")
        )
    assert "\n" not in str(caught.value)
