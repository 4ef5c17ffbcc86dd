"""`vifi compare`: two systems of a results folder, two folders, two feature sets, two runs."""

import csv
import io
import json
from dataclasses import replace

import pytest

from harness.results import append_rows, read_rows
from harness.results.video_answers import DIGEST
from tests.reports.conftest import PROVENANCE, make_row


@pytest.fixture
def folder(evaluate, tmp_path):
    """A results folder of two systems on two splits."""
    out = tmp_path / "out"
    for split in ("val1", "val2"):
        flags = ("--split", split, "--results", out)
        assert evaluate("zero-shot", "--features", "good", "bad", *flags)[0] == 0
    return out


def lines_of(said, *words):
    code, out, error = said("compare", *words, "--format", "json")
    assert code == 0, error
    return json.loads(out)["rows"]


def test_two_systems_of_a_folder_by_split_and_by_class(said, folder):
    rows = lines_of(said, "good", "bad", "--results", folder)
    whole = [row for row in rows if not row["class"]]
    top1 = [row for row in whole if row["metric"] == "top1"]
    assert [row["split"] for row in top1] == ["val1", "val2"]
    assert all(row["paired"] and row["ci_low"] > 0 and row["p_value"] < 0.01 for row in top1)
    others = [row for row in whole if row["metric"] != "top1"]
    assert {row["metric"] for row in others} == {"top5", "mean_per_class", "calibration_error"}
    assert not any(row["paired"] for row in others)
    classes = [row for row in rows if row["class"]]
    assert {row["class"] for row in classes} == {f"class {number}" for number in range(6)}
    of_val1 = [row for row in classes if row["split"] == "val1"]
    share = sum(row["first"] * row["num_videos"] for row in of_val1) / top1[0]["num_videos"]
    assert share == pytest.approx(top1[0]["first"])
    swapped = lines_of(said, "bad", "good", "--results", folder)
    assert swapped[0]["difference"] == -rows[0]["difference"]


def test_what_a_reader_sees(said, folder):
    code, out, _ = said("compare", "good", "bad", "--results", folder, "--correction", "bh")
    assert code == 0
    assert out.startswith("first_name good, second_name bad, dataset toy")
    assert "calibration_error" not in out
    other = said("compare", "good", "bad", "--results", folder, "--where", "metric=top5|top1")[1]
    assert "not paired: of these the answers to the videos are not kept" in other
    assert "classes of 2 comparisons, each corrected by itself, differ, by Benjamini and" in out
    every = said("compare", "good", "bad", "--results", folder, "--classes")[1]
    assert every.count("class 3") == 2
    assert "Holm's method (no false finding, 95%)" in every


def test_feature_sets_are_scored_as_evaluate_does(said, folder, maker):
    stored = ("--store", folder.parent / "S.zarr", "--dataset", "toy")
    rows = lines_of(said, "good", "bad", *stored, "--split", "val1", "val2")
    kept = lines_of(said, "good", "bad", "--results", folder)
    assert [row for row in rows if row["class"]] == [row for row in kept if row["class"]]
    assert rows[0]["difference"] == kept[0]["difference"]


def test_two_folders_by_the_names_of_their_systems(said, folder, evaluate, tmp_path):
    again = tmp_path / "again"
    flags = ("--split", "val1", "--results", again)
    assert evaluate("zero-shot", "--features", "good", "bad", *flags)[0] == 0
    rows = lines_of(said, folder, again)
    assert {row["split"] for row in rows} == {"val1"}
    assert {(row["first_name"], row["second_name"]) for row in rows} == {
        ("good", "good"),
        ("bad", "bad"),
    }
    assert all(row["difference"] == 0 for row in rows)


def test_numbers_alone_are_compared_as_of_different_videos(said, tmp_path):
    append_rows(tmp_path / "a", [make_row("full", 0.5)])
    append_rows(tmp_path / "b", [make_row("other", 0.4)])
    (row,) = lines_of(said, tmp_path / "a", tmp_path / "b")
    half = (2 * 0.03**2) ** 0.5
    assert row["difference"] == pytest.approx(0.1)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((0.1 - half, 0.1 + half))
    assert (row["paired"], row.get("p_value")) == (False, None)


def test_what_was_tuned_is_not_called_zero_shot(said, tmp_path):
    tuned = make_row("full", 0.5, protocol="tuned", tuned_on="shapes/train")
    append_rows(tmp_path, [tuned, make_row("clip", 0.4, feature_set="bbbbbbbbbbbb")])
    for names in (("full", "clip"), ("clip", "full")):
        (row,) = lines_of(said, *names, "--results", tmp_path)
        assert row["protocol"] == "tuned"


def test_of_two_sets_that_had_one_name_the_newest_is_compared(said, tmp_path):
    early, late = (PROVENANCE | {"time": f"2026-01-0{day}T00:00:00+00:00"} for day in (1, 2))
    clip = make_row("clip", 0.4, feature_set="cccccccccccc")
    again = make_row("full", 0.6, feature_set="bbbbbbbbbbbb", provenance=late, num_frames=8)
    append_rows(tmp_path, [again, make_row("full", 0.5, provenance=early), clip])
    code, out, error = said("compare", "full", "clip", "--results", tmp_path, "--format", "json")
    (row,) = json.loads(out)["rows"]
    assert (code, row["first"], row["differs"]) == (0, 0.6, "")
    assert "1 rows of full were scored again later" in error


def test_what_differs_beside_the_systems_is_told_and_other_classes_are_not_compared(said, tmp_path):
    rows = [make_row("full", 0.5, num_frames=4), make_row("full", 0.5, split="val1", classes=12)]
    others = [make_row("clip", 0.4), make_row("clip", 0.4, split="val1")]
    append_rows(tmp_path, [*rows, *others])
    (row,) = lines_of(said, "full", "clip", "--results", tmp_path)
    assert (row["split"], row["differs"]) == ("test", "num_frames 4 and 8")
    code, _, error = said("compare", "full", "clip", "--results", tmp_path, "--where", "split=val1")
    assert code == 2
    assert "score both on one split among the same classes" in error


def test_answers_that_give_another_number_are_not_taken(said, folder):
    rows = [row for row in read_rows(folder) if row.metric == "top1"]
    # As of an earlier version, which told no digest; then as of answers that differ.
    for told in ({}, {DIGEST: "0" * 16}):
        others = {name: told for name, told in rows[0].provenance.items() if name != DIGEST}
        changed = replace(rows[0], value=rows[0].value / 2, provenance=others | told)
        append_rows(folder, [changed])
        found = lines_of(said, "good", "bad", "--results", folder, "--where", "metric=top1")
        assert [row["paired"] for row in found if not row["class"]].count(False) == 1


def test_csv_is_a_line_each(said, folder):
    out = said("compare", "good", "bad", "--results", folder, "--format", "csv")[1]
    lines = list(csv.DictReader(io.StringIO(out)))
    assert lines[0]["first_name"] == "good"
    assert len(lines) == 2 * (4 + 6)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("good", "bad"), "good is no results folder; say where it is known"),
        (("good", "worse", "--results", "out"), "unknown system of"),
        (("good", "bad", "--results", "out", "--store", "S.zarr"), "leave out one of them"),
        (("good", "bad", "--results", "out", "--correction", "x"), "neither holm nor bh"),
        (("good", "bad", "--results", "out", "--split", "val1"), "--where split=NAME"),
        (("out", "out", "--dataset", "toy"), "--dataset is of feature sets of a --store"),
        (("out", "out", "--fusion", "image"), "--where fusion=NAME"),
        (("good", "bad", "--store", "S.zarr"), "name the one to score with --split"),
        (("good", "gone", "--store", "S.zarr", "--split", "val1"), "unknown"),
    ],
)
def test_wrong_calls(said, folder, words, told):
    places = {"out": str(folder), "S.zarr": str(folder.parent / "S.zarr")}
    code, _, error = said("compare", *(places.get(word, word) for word in words))
    assert code == 2
    assert told in error


def test_folders_without_a_common_name(said, folder, tmp_path):
    append_rows(tmp_path / "b", [make_row("x"), make_row("y", feature_set="bbbbbbbbbbbb")])
    code, _, error = said("compare", folder, tmp_path / "b")
    assert code == 2
    assert "no name in common; compare two systems of one folder" in error
    append_rows(tmp_path / "c", [make_row("good")])
    code, _, error = said("compare", folder, tmp_path / "c")
    assert code == 2
    assert "in no setting in common" in error


def test_a_run_is_its_last_checkpoint_that_was_extracted(said, folder, maker):
    run = folder.parent / "run"
    run.mkdir()
    maker.features(maker.frames(noise=2.0), name="tuned", checkpoint="tuned")
    maker.texts("tuned")
    digest = next(n.checkpoint for n in maker.store.dataset("toy").names() if n.name == "tuned")
    for step, of in ((2, "e" * 12), (4, digest), (6, "f" * 12)):
        about = {"digest": of, "epoch": step / 2}
        (run / f"step-{step:08d}.json").write_text(json.dumps(about))
    stored = ("--store", folder.parent / "S.zarr", "--split", "val1")
    rows = lines_of(said, run, "bad", *stored)
    assert rows[0]["first_name"] == "tuned"
    (run / "step-00000004.json").unlink()
    code, _, error = said("compare", run, "bad", *stored)
    assert code == 2
    assert "no checkpoint of" in error
    (run / "step-00000002.json").write_text("[]")
    assert "is not what vifi train wrote" in said("compare", run, "bad", *stored)[2]
