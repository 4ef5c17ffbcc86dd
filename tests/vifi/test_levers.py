"""`--lever` of `vifi evaluate` and `vifi ablate`."""

import json
import re

import pytest

from harness.levers.chosen_frames import FRAME_CHOICES
from harness.levers.ensembles import ENSEMBLES
from harness.levers.known_levers import ALL, LEVERS, WEIGHTS
from harness.levers.transductive import TRANSDUCTIVE
from harness.results import read_rows
from tests.vifi.test_cli import EXTRACT, clips, said
from vifi.__main__ import run

__all__ = ["clips", "said"]


@pytest.fixture
def store(said, clips, tmp_path):
    """A store of four clips, and descriptions of their classes beside it."""
    path = tmp_path / "s.zarr"
    said("scan", path, clips, "--dataset", "d")
    said("extract", path, "--dataset", "d", *EXTRACT)
    texts = {"a": ["red things", "a wall"], "b": "blue things", "c": "of no class here"}
    (tmp_path / "d.json").write_text(json.dumps(texts))
    return path


def test_levers_are_printed_and_kept_beside_the_plain_score(said, store, tmp_path):
    given = ("--dataset", "d", "--descriptions", tmp_path / "d.json", "--results", tmp_path / "out")
    names = ("mutual-softmax", "descriptions", "descriptions-transport")
    code, out, _ = said("evaluate", store, "zero-shot", *given, "--lever", *names)
    assert code == 0
    assert "embedding mutual-softmax top1_minus_plain" in out
    assert "transductive: it looks at all scored videos together" in out
    rows = read_rows(tmp_path / "out")
    assert {row.lever for row in rows} == {"", *names}
    assert said("report", tmp_path / "out")[0] == 0
    table = (tmp_path / "out" / "levers.md").read_text()
    assert "mutual-softmax (transductive)" in table


def test_descriptions_alone_are_all_levers_that_take_them(said, store, tmp_path):
    given = ("--dataset", "d", "--descriptions", tmp_path / "d.json")
    code, out, _ = said("ablate", store, *given)
    assert code == 0
    for name in ("mean", "max", "transport", "warping"):
        assert f"descriptions{'' if name == 'mean' else '-' + name}" in out
    assert "What lifts it" in out


def test_ensembles_and_a_temperature_by_a_validation_split(evaluate, tmp_path):
    flags = ("--features", "good", "--split", "val1", "--ensemble-with", "bad")
    code, said, errors = evaluate("zero-shot", *flags, "--results", tmp_path)
    assert (code, errors) == (0, [])
    rows = {row.lever: row for row in read_rows(tmp_path) if row.metric == "top1"}
    assert set(rows) == {"", *ENSEMBLES}
    weights = rows["ensemble-logit"].provenance["lifted"]["weights"]
    assert weights == {"good": 0.5, "bad": 0.5}
    flags = (*flags, "--validation-split", "train1", "--lever", "all", "--json")
    code, said, errors = evaluate("zero-shot", *flags)
    rows = [row for row in json.loads(said)["rows"] if row["metric"] == "top1" and row["lever"]]
    told = {row["lever"]: row["provenance"]["lifted"].get("tuned_on") for row in rows}
    assert told == {
        **dict.fromkeys((*ENSEMBLES, "temperature"), "toy/train1"),
        **dict.fromkeys((*FRAME_CHOICES, *TRANSDUCTIVE)),
    }


def test_a_validation_split_may_not_be_scored(evaluate):
    flags = ("--features", "good", "--split", "val1", "--lever", "temperature")
    for split, told in ((("val1",), "shares none"), ((), "give --validation-split NAME")):
        flag = ("--validation-split", *split) if split else ()
        code, _, errors = evaluate("zero-shot", *flags, *flag)
        assert (code, told in errors[-1]) == (2, True), errors


@pytest.mark.parametrize("verb", ["evaluate", "ablate"])
def test_every_lever_is_named_in_the_help(verb, capsys):
    with pytest.raises(SystemExit):
        run([verb, "--help"])
    words = set(re.findall(r"[a-z][a-z-]*[a-z]", capsys.readouterr().out.replace("-\n", "-")))
    assert {*LEVERS, WEIGHTS, ALL} <= words


def test_weights_of_one_run_are_levers_of_what_it_tuned(maker, tmp_path, capsys):
    parent = maker.checkpoint("start", kind="")
    for name, kind in (("tuned", "trained"), ("half", "blend-0.5")):
        told = {"kind": kind, "step": 10, "parent": parent}
        maker.features(maker.frames(noise=3.0), name=name, checkpoint=name, **told)
        maker.texts(name)
    words = ["ablate", str(tmp_path / "S.zarr"), "--dataset", "toy", "--features", "tuned", "half"]
    assert run([*words, "--split", "val1", "--lever", "weights"]) == 0
    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if line.startswith("| weights-blend-0.5 ")]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("zero-shot", "--lever", "mutual-softmx"), "Did you mean 'mutual-softmax'?"),
        (("zero-shot", "--lever", "descriptions"), "give --descriptions FILE"),
        (("zero-shot", "--descriptions", "no.json"), "cannot be read"),
        (("base-to-novel", "--lever", "all"), "--lever has no meaning for base-to-novel"),
        (("retrieval", "--lever", "all"), "--lever has no meaning for retrieval"),
        (("zero-shot", "--split", "a", "b", "--lever", "all"), "give one --split"),
        (
            *[
                (
                    "supervised",
                    "--lever",
                    "all",
                    "--classifier",
                    "tip-adapter",
                    "--train-split",
                    "t",
                )
            ],
            "levers are of scores by class names",
        ),
    ],
)
def test_what_is_refused(said, store, words, told):
    protocol, *flags = words
    code, _, error = said("evaluate", store, protocol, "--dataset", "d", *flags)
    assert (code, told in error) == (2, True), error
    assert len(error) < 400


def test_descriptions_that_lack_a_class(said, store, tmp_path):
    (tmp_path / "d.json").write_text('{"a": ["x"]}')
    given = ("--dataset", "d", "--descriptions", tmp_path / "d.json")
    code, _, error = said("evaluate", store, "zero-shot", *given)
    assert (code, "descriptions lack 1 of 2 classes (b)" in error) == (2, True), error
