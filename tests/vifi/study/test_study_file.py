"""What a study's file may say, and how it is told what it may not."""

import tomllib

import pytest

from tests.vifi.study.conftest import STUDY
from vifi.study.study_file import parse_study, read_study
from vifistore.errors import UsageError

HEADS = {
    "clip": {"model": "vifi-tiny", "pretrained": "none"},
    "first": {"start": "clip", "head": "a5", "dataset": "d"},
    "second": {"start": "first", "head": "a5", "dataset": "d"},
}


def study(**parts: object) -> dict:
    return tomllib.loads(STUDY) | parts


def changed(part: str, name: str, **fields: object) -> dict:
    document = study()
    document[part][name] = document[part][name] | fields
    return document


def test_each_makes_one_of_every_combination():
    document = study()
    document["systems"]["m-{kind}-{seed}"] = {
        "each": {"kind": ["image", "text"], "seed": [1, 2]},
        "start": "clip",
        "preset": "few_shot",
        "dataset": "d",
        "flags": {"trains": "{kind}", "seed": "{seed}", "template": "a {kind} of {}."},
    }
    systems = parse_study(document).systems
    assert [name for name in systems if name.startswith("m-")] == [
        *("m-image-1", "m-image-2", "m-text-1", "m-text-2")
    ]
    # A number stays one; braces that name nothing stay as they are.
    assert systems["m-text-2"].flags == {"trains": "text", "seed": 2, "template": "a text of {}."}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (study(system={}), "unknown part of a study 'system'"),
        (study(title=3), "title is 3; give a text"),
        (study(systems=[]), "systems is no table"),
        (changed("systems", "clip", presett="x"), "unknown field of systems.clip 'presett'"),
        (changed("systems", "clip", model=7), "model is 7; give a text"),
        (changed("datasets", "d", num_videos=True), "give a whole number"),
        (changed("datasets", "d", scan=[["a", 3]]), "give a list of lists of texts"),
        (changed("datasets", "d", scan=["a"]), "give a list of lists of texts"),
        (study(about=[["a"]]), "about is [['a']]; give a list of texts"),
        (changed("questions", "table", systems=[["clip"]]), "give a list of texts"),
        (changed("systems", "clip", pretrained=""), "needs model and pretrained"),
        (changed("systems", "full-s{seed}", start="clap"), "unknown start of system full-s1"),
        (changed("systems", "full-s{seed}", start="full-s{seed}"), "starts from itself"),
        (changed("systems", "full-s{seed}", dataset="e"), "unknown dataset of system full-s1"),
        (changed("systems", "full-s{seed}", head="a5"), "has two of preset, head and weights"),
        (changed("systems", "full-s{seed}", each={"seed": 1}), "no table of lists"),
        (changed("systems", "full-s{seed}", each={"k": [1]}), "its name has no {k}"),
        (changed("systems", "full-s{seed}", each={"seed": [[1]]}), "more than texts and numbers"),
        (changed("systems", "full-s{seed}", each={"seed": [1, 1]}), "comes twice"),
        (changed("systems", "full-s{seed}", each={"seed": [*range(20_000)]}), "at most 10000"),
        (changed("questions", "table", systems=["clap"]), "unknown system of question table"),
        (changed("questions", "table", dataset="e"), "unknown dataset of question table"),
        (changed("questions", "table", ask=" "), "asks nothing"),
        (changed("questions", "table", against=["clap"]), "unknown system of question table"),
        (
            changed("questions", "fusions", against=["full-*"] * 2 + ["clip"]),
            "one, or one for each",
        ),
        (changed("systems", "clip", weights="b"), "unknown start of system clip"),
        (changed("systems", "clip", features="a/b"), "'a/b' cannot name a feature set"),
        (study(systems=HEADS), "system second starts from first, a head"),
        (study(questions={"a/b": {"ask": "ablate", "systems": []}}), "cannot name a question:"),
        (study(questions={"a": {"systems": []}}), "questions.a has no ask"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(document, told):
    with pytest.raises(UsageError) as caught:
        parse_study(document)
    assert told in str(caught.value)
    assert len(str(caught.value)) < 400


def test_files_that_are_none(tmp_path):
    path = tmp_path / "s.toml"
    for content, told in ((b"title = ", "is no TOML"), (b"\xff\xfe", "is no TOML")):
        path.write_bytes(content)
        with pytest.raises(UsageError, match=told):
            read_study(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_study(tmp_path / "absent.toml")
    with pytest.raises(UsageError, match="cannot be read"):
        read_study(tmp_path)
