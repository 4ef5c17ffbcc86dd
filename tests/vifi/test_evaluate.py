"""`vifi evaluate`: what it prints, writes, warns of and refuses."""

import hashlib
import json
import re

import numpy as np
import pandas as pd
import pytest

from harness.results import read_rows
from harness.results.artefacts import Artefacts
from reports.layouts.protocol_tables import protocol_tables
from reports.measurements import measurements
from tests.harness.conftest import planted_store
from vifi.__main__ import run
from vifistore.store import open_store
from vifistore.store.identity import Identity, TunedOn, packed
from vifistore.store.names import set_name

_PROTOTYPE = ("--classifier", "prototype", "--train-split", "train1")


def test_rows_tables_of_classes_and_quarantine_go_to_the_results(evaluate, tmp_path):
    out = tmp_path / "out"
    flags = ("--features", "good", "--split", "val1", "--results", out, "--against", "bad")
    code, said, errors = evaluate("zero-shot", *flags)
    # Quarantined videos are told, and are no failure of the evaluation.
    assert (code, errors) == (0, [])
    assert "(59 videos, 6 classes, 1 quarantined)" in said
    assert "toy val1 embedding: good beats bad by" in said
    (difference,) = [row for row in read_rows(out) if row.metric == "top1_minus_bad"]
    assert difference.value > 0
    found = Artefacts(out)
    assert [video.reason for video in found.quarantine] == ["decode error"]
    assert set(found.classes.per_class["class"]) == {f"class {n}" for n in range(6)}
    assert set(found.classes.per_class["features"]) == {"good"}
    assert found.classes.confusion["count"].is_monotonic_decreasing
    evaluate("zero-shot", *flags)
    again = Artefacts(out).classes.per_class
    assert again.equals(found.classes.per_class), "the same setting replaces its tables"


def test_what_each_video_was_taken_for_is_a_file(evaluate, tmp_path):
    out = tmp_path / "deep" / "p.csv"
    flags = ("--split", "val1", "--fusion", "embedding", "decision", "--against", "bad")
    code, _, _ = evaluate(
        "zero-shot", "--features", "good", "bad", *flags[:-2], "--predictions", out
    )
    assert code == 0
    lines = pd.read_csv(out)
    # One video is quarantined in one of the sets.
    assert lines.groupby(["features", "fusion"]).size().to_dict() == {
        **{("good", fusion): 59 for fusion in ("decision", "embedding")},
        **{("bad", fusion): 60 for fusion in ("decision", "embedding")},
    }
    assert (lines["predicted"] == lines["top_1"]).all()
    assert ((lines["label"] == lines["predicted"]) == lines["is_right"]).all()
    assert (lines["score_1"] >= lines["score_2"]).all()
    assert {"id", "path", "top_5", "score_5", "split"} <= set(lines.columns)
    code, said, _ = evaluate("zero-shot", "--features", "good", "--split", "val1", "--json")
    (top1,) = [row for row in json.loads(said)["rows"] if row["metric"] == "top1"]
    chosen = (lines["features"] == "good") & (lines["fusion"] == "embedding")
    assert lines[chosen]["is_right"].mean() == pytest.approx(top1["value"])
    # A baseline is no part of it.
    out = out.with_suffix(".parquet")
    evaluate("zero-shot", "--features", "good", *flags, "--predictions", out)
    assert set(pd.read_parquet(out)["features"]) == {"good"}


def test_a_mean_is_printed_with_its_deviation(evaluate):
    code, said, _ = evaluate("zero-shot", "--features", "good", "--split", "val1", "val2")
    assert code == 0
    (line,) = [line for line in said.splitlines() if "val1+val2" in line and " top1 " in line]
    assert re.search(r"top1 \d+\.\d ± \d+\.\d over 2 splits \(", line)
    _, said, _ = evaluate("base-to-novel", "--features", "good", "bad")
    lines = [line for line in said.splitlines() if line.startswith("mean of good, bad ")]
    assert any("over 2 seeds" in line for line in lines)
    assert " + " not in said


def test_an_alias_is_the_same_row(evaluate, maker, tmp_path):
    out = tmp_path / "out"
    flags = ("--split", "val1", "--results", out, "--features")
    evaluate("zero-shot", *flags, "good")
    good = maker.store.features("toy", "good")
    set_name(maker.store.dataset("toy"), "alias", good.id, good.checkpoint, force=False)
    _, said, _ = evaluate("zero-shot", *flags, "good")
    assert all(line.startswith("good ") for line in said.splitlines()[:2])
    _, said, _ = evaluate("few-shot", *flags, "alias", *_PROTOTYPE, "--shots", "2", "--draws", "2")
    assert "alias toy val1 2 shots prototype embedding top1" in said
    assert "good" not in said.replace(str(out), "")
    rows = read_rows(out)
    assert {row.feature_names for row in rows} == {("good",), ("good", "alias"), ("alias", "good")}
    zero_shot, *_ = (t for t in protocol_tables(measurements(rows)) if t.name == "zero-shot")
    assert [row.label for row in zero_shot.rows] == ["alias"]


def test_a_part_of_a_list_says_of_how_many(evaluate, maker):
    maker.split("part", range(60, 100), listed=[1000] * 6)
    _, said, _ = evaluate("zero-shot", "--features", "good", "--split", "part", "--against", "bad")
    lines = said.splitlines()
    assert len(lines) == 3
    assert all("(40 of 6,000 listed videos, 6 classes)" in line for line in lines)


def test_class_names_that_are_queries_are_counted(evaluate):
    _, said, _ = evaluate("retrieval", "--features", "good", "--split", "val2")
    assert all("(60 videos, 6 classes)" in line for line in said.splitlines())
    flags = ("--features", "good", "--split", "val2", "--video-queries")
    _, said, _ = evaluate("retrieval", *flags)
    assert all("60 videos, 6 classes, 60 sources by file" in line for line in said.splitlines())
    _, said, _ = evaluate("retrieval", *flags, "--groups", "video(.)")
    assert "sources by video(.)" in said


def test_no_quarantine_of_before_stays(evaluate, maker, tmp_path):
    out = tmp_path / "out"
    evaluate("zero-shot", "--features", "good", "--split", "val1", "--results", out)
    (path,) = (out / "artefacts").rglob("toy-*.json")
    feature_id = open_store(tmp_path / "S.zarr").features("toy", "bad").id
    stale = path.with_name(f"toy-{feature_id}.json")
    stale.write_bytes(path.read_bytes())
    evaluate("zero-shot", "--features", "bad", "--split", "val1", "--results", out)
    assert path.exists()
    assert not stale.exists()


def test_base_to_novel_writes_the_classes_by_frequency(evaluate, tmp_path):
    out = tmp_path / "out"
    flags = ("--features", "good", "bad", "--against", "bad", "good", "--results", out)
    code, said, _ = evaluate("base-to-novel", *flags, "--train-split", "train1", "--json")
    assert code == 0
    differences = [r for r in json.loads(said)["rows"] if r["metric"].startswith("top1_minus")]
    assert [(row["seed"], row["subset"]) for row in differences] == [
        (seed, subset) for seed in (1, 2) for subset in ("base", "novel", "joint")
    ]
    frequencies = Artefacts(out).frequencies
    assert frequencies["subset"].tolist() == ["base"] * 4 + ["novel"] * 2
    assert set(frequencies["count"]) == {10}
    _, said, _ = evaluate("base-to-novel", *flags)
    assert "base embedding: mean of good, bad and mean of bad, good do not differ" in said


def test_an_untuned_set_is_no_few_shot_score(evaluate, maker):
    flags = ("--features", "good", "--split", "val1")
    code, said, errors = evaluate("few-shot", *flags, "--shots", "16")
    assert (code, said, len(errors)) == (2, "", 1)
    assert "good does not say on what it was tuned; name that split with --train-split" in errors[0]
    few = [row for n in range(6) for row in np.flatnonzero(maker.labels[:60] == n)[: 2 * (n < 4)]]
    maker.split("few", few)
    code, said, errors = evaluate("few-shot", *flags, *_PROTOTYPE[:3], "few")
    assert code == 0
    assert errors == [
        "2 of 6 classes have no video in few (class 4, class 5): what is trained on it is scored "
        "on the videos of the others, and among them alone"
    ]
    assert "2 shots prototype" in said
    assert "(40 of 60 listed videos, 4 classes, 1 quarantined)" in said


def test_splits_that_share_videos_are_warned_of(evaluate, maker):
    maker.features(maker.frames(noise=2.0), name="tuned", checkpoint="tuned", shots=10)
    maker.texts("tuned")
    flags = ("--features", "tuned", "--split")
    _, _, errors = evaluate("few-shot", *flags, "val2")
    assert errors == [
        "val2 shares videos with training splits (30 with train1): a checkpoint that was tuned on "
        "one of these is to be scored on another split"
    ]
    assert evaluate("few-shot", *flags, "val1")[2] == []
    code, _, errors = evaluate("few-shot", *flags, "val2", "--train-split", "train1")
    assert code == 2
    assert "30 of 60 training videos of train1 are also in val2" in errors[-1]


@pytest.mark.parametrize(
    ("protocol", "flags", "told"),
    [
        ("zero-shot", [], "has the splits base_val, novel_val, train1, val1, val2; name the one"),
        ("retrieval", [], "name the one to score with --split, or all its videos with --split all"),
        ("supervised", [], "name the one to score with --split"),
        ("few-shot", ["--shots", "2"], "name the one to score with --split"),
        ("zero-shot", ["--against", "bad", "bad"], "--against names 2 feature sets"),
        ("zero-shot", ["--shots", "2"], "--shots has no meaning for zero-shot"),
        ("zero-shot", ["--results", __file__], "is not a folder; give another folder"),
        ("zero-shot", ["--split", "val9"], "Did you mean 'val"),
        ("zero-shot", ["--split", "val1", "val1"], "named twice in val1, val1"),
        ("zero-shot", ["--split", "val1", "base_val"], "have no common mean; score them one by"),
        ("few-shot", ["--split", "val1", "--shots", "2", "--draws", "3"], "--draws needs --shots"),
        ("base-to-novel", ["--train-split", "train1"], "for a figure here; give --results too"),
        (
            "supervised",
            [*("--split", "val1", "--template", "a {}"), *_PROTOTYPE],
            "--template has no meaning for prototype; leave it out",
        ),
        ("zero-shot", ["--split", "val1", "--fusion", "embeding"], "Did you mean 'embedding'"),
        ("zero-shot", ["--predictions", "p.txt"], "it must end in .csv or .parquet"),
        ("retrieval", ["--predictions", "p.csv"], "--predictions has no meaning for retrieval"),
        ("retrieval", ["--split", "val2", "--bank", "val1"], "--bank is of --normalise"),
        ("retrieval", ["--groups", "x"], "--groups is of --video-queries; give it"),
        ("retrieval", ["--best-frames", "2"], "--best-frames is of --rerank topk"),
        ("retrieval", ["--video-queries", "--paragraphs"], "--video-queries asks none"),
        ("zero-shot", ["--rerank", "topk"], "--rerank has no meaning for zero-shot"),
        ("zero-shot", ["--split", "val1", "--video-queries"], "no meaning for zero-shot"),
    ],
)
def test_wrong_use_is_one_line(evaluate, protocol, flags, told):
    code, said, errors = evaluate(protocol, "--features", "good", *flags)
    assert (code, said, len(errors)) == (2, "", 1)
    assert told in errors[0]


def test_all_that_is_wrong_is_told_at_once(evaluate):
    flags = ("--features", "god", "--split", "val1", "--fusion", "image", "--against", "bda")
    code, said, errors = evaluate("supervised", *flags, "--train-split", "trian1")
    assert (code, said, len(errors)) == (2, "", 1)
    assert errors[0].startswith("vifi: 3 things are wrong: (1) unknown feature set of toy 'god'.")
    assert "'trian1'. Did you mean 'train1'?" in errors[0]
    flags = ("--features", "good", "--fusion", "imgae", "--template", "a")
    code, _, errors = evaluate("zero-shot", *flags[:-2], "--template", "a {} {}", "--draws", "0")
    assert code == 2
    for part in ("--draws has no meaning", "must be 1", "'image'", "exactly one {}"):
        assert part in errors[0]


def test_splits_sets_and_texts_that_cannot_be_scored(maker, evaluate):
    maker.split("empty", [])
    maker.split("beyond", [0], [9])
    status = np.ones(120, np.uint8)
    status[5] = 0
    maker.features(maker.frames(num_frames=2), name="unsealed", status=status, seal=False)
    broken = maker.frames(num_frames=5)
    broken[7], broken[9] = np.nan, 0
    with np.errstate(invalid="ignore"):
        maker.features(broken, name="broken")
    for features, split, code, told in (
        ("good", "empty", 2, "split empty of toy is empty; choose another --split"),
        ("good", "beyond", 2, "uses label 9, but names only 6 classes; scan it again"),
        ("unsealed", "val1", 1, "is not sealed: 1 of 120 videos are to do"),
        ("broken", "train1", 1, "of 2 videos (first: row 7) are zero or not finite"),
    ):
        found = evaluate("zero-shot", "--features", features, "--split", split)
        assert (found[0], len(found[2])) == (code, 1), found
        assert told in found[2][0]


def test_texts_of_another_model_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    maker = planted_store(tmp_path, num_videos=70)
    maker.features(maker.frames())
    maker.directions = maker.directions[:, :8]
    maker.texts()
    words = ["zero-shot", "--dataset", "toy", "--features", "tiny"]
    assert run(["evaluate", str(tmp_path / "S.zarr"), *words]) == 2
    assert "tiny has 16 dimensions, text set" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("protocol", "flags", "told"),
    [
        ("zero-shot", ["good", "--split", "val1", "--against", "god"], "Did you mean 'good'"),
        (
            "few-shot",
            ["good", "--split", "val1", "--shots", "2", "99", *_PROTOTYPE],
            "fewer than 99 shots",
        ),
        ("base-to-novel", ["good", "--train-split", "base_val"], "has no video of 2 of 6 classes"),
    ],
)
def test_what_is_refused_leaves_nothing_in_the_results(evaluate, tmp_path, protocol, flags, told):
    out = tmp_path / "out"
    code, said, errors = evaluate(protocol, "--results", out, "--features", *flags)
    assert (code, said) == (2, "")
    assert told in errors[-1]
    assert list(out.rglob("*")) == []


def test_without_labels_of_all_classes_there_is_no_figure_but_there_are_scores(
    maker, evaluate, tmp_path
):
    novel = np.flatnonzero(maker.labels >= 4)
    other_names = ["class four", "class five"]
    maker.split("renamed", novel, maker.labels[novel] - 4, other_names)
    maker.class_names += other_names
    maker.directions = np.concatenate([maker.directions, maker.directions[4:]])
    maker.texts(class_names=other_names)
    out = tmp_path / "out"
    flags = ("--features", "good", "--novel-split", "renamed", "--results", out)
    code, _, errors = evaluate("base-to-novel", *flags)
    assert code == 0
    assert "no figure of class frequencies: toy has no video of 2 of 6 classes" in errors[-1]
    assert not len(Artefacts(out).frequencies)
    assert read_rows(out)


def test_what_a_set_was_tuned_on_is_said_for_every_set(maker, evaluate, tmp_path):
    digests = [hashlib.sha256(bytes([number])).hexdigest() for number in range(120)]
    entry = {"dataset": "toy", "split": "train1", "class_names": tuple(maker.class_names)}
    for name, rows in (("half", range(60)), ("apart", ())):
        known = TunedOn(**entry, videos=packed(digests[row] for row in rows))
        identity = Identity(tuned_on=(known,))
        frames = maker.frames(noise=2.0, seed=len(rows))
        maker.features(frames, name=name, checkpoint=name, digests=digests, identity=identity)
        maker.texts(name)
    flags = ("--features", "good", "--split", "val2", "--against", "half")
    code, said, errors = evaluate("zero-shot", *flags)
    assert (code, "tuned" in said) == (0, False)
    assert errors == [
        "half was tuned on 30 of the 60 videos of val2 (toy/train1): their scores say how well it "
        "learned them, and nothing of videos that it has not seen; score another split"
    ]
    out = tmp_path / "out"
    code, said, errors = evaluate(
        "zero-shot", "--features", "apart", "--split", "val1", "--results", out
    )
    assert errors == ["apart was tuned on toy/train1: these scores are not zero-shot"]
    assert "; tuned on toy/train1, not zero-shot" in said
    assert {row.protocol for row in read_rows(out)} == {"tuned"}
    # Where that is what is asked for, it is no news.
    flags = ("--features", "apart", "--split", "val1", "--shots", "10")
    assert evaluate("few-shot", *flags)[2] == []
    code, _, errors = evaluate("base-to-novel", "--features", "good", "half")
    assert len([line for line in errors if line.startswith("half was tuned on ")]) == 2
