"""`vifi evaluate --against`: sets compared on the same videos, seed by seed and in the mean."""

import json

import numpy as np
import pytest

from harness.results import read_rows
from reports.layouts.protocol_tables import protocol_tables
from reports.measurements import measurements
from vifistore.store.names import set_name

_PROTOTYPE = ("--classifier", "prototype", "--train-split", "train1")


def test_runs_of_several_seeds_are_compared_with_one_baseline(evaluate, maker, tmp_path):
    for seed in (1, 2, 3):
        maker.features(maker.frames(noise=1.0, seed=seed, num_frames=4), name=f"s{seed}")
    out = tmp_path / "out"
    seeds = ("--features", "s1", "s2", "s3")
    code, said, _ = evaluate("base-to-novel", *seeds, "--against", "bad", "--results", out)
    assert code == 0
    lines = [line for line in said.splitlines() if " beats bad by " in line]
    assert [line.split(": ")[0] for line in lines] == [
        *(
            f"toy {place}{name} embedding{what}"
            for name in (" seed 1", " seed 2", " seed 3", "")
            for place, what in (
                ("base_val base", ""),
                ("novel_val novel", ""),
                ("base_val+novel_val joint", ""),
                ("base_val+novel_val", " harmonic mean"),
            )
        )
    ]
    assert lines[0].split(": ")[1].startswith("s1 beats bad by")
    assert all("mean of s1, s2, s3 beats bad by" in line for line in lines[-4:])
    rows = [row for row in read_rows(out) if "_minus_" in row.metric]
    joint = [row for row in rows if "over" in row.provenance]
    assert [row.metric for row in joint] == [*["top1_minus_bad"] * 3, "harmonic_mean_minus_bad"]
    alone = [row for row in rows if "over" not in row.provenance and row.subset == "base"]
    assert joint[0].value == pytest.approx(np.mean([row.value for row in alone]))
    assert (joint[0].seed, joint[0].feature_names) == (None, ("s1", "s2", "s3"))
    # Three seeds are surer than one.
    assert joint[0].ci_high - joint[0].ci_low < max(row.ci_high - row.ci_low for row in alone)
    tables = {table.name: table for table in protocol_tables(measurements(read_rows(out)))}
    headings = [column.heading for column in tables["base-to-novel"].columns]
    assert {"Base Top-1 minus bad", "HM minus bad"} <= set(headings)
    code, _, errors = evaluate("base-to-novel", *seeds, "--against", "bad", "good")
    assert code == 2
    assert (
        "--against names 2 feature sets and --features 3; give one for all, or one for" in errors[0]
    )


def test_sets_of_any_protocol_are_scored_one_by_one_and_against_one(evaluate, maker):
    maker.features(maker.frames(noise=2.0, num_frames=5), name="middle")
    flags = ("--features", "good", "middle", "--split", "val1", "--against", "bad")
    _, said, _ = evaluate("zero-shot", *flags)
    assert [line.split(" ")[0] for line in said.splitlines() if " top1 " in line] == [
        "good",
        "middle",
    ]
    assert "good beats bad by" in said
    assert "middle beats bad by" in said
    said = evaluate("supervised", *flags, *_PROTOTYPE, "--json")[1]
    compared = [row for row in json.loads(said)["rows"] if row["metric"] == "top1_minus_bad"]
    assert [row["feature_names"] for row in compared] == [["good"], ["middle"]]


def test_a_few_shot_score_is_compared_with_what_was_not_tuned(evaluate, maker):
    maker.features(maker.frames(noise=2.0), name="tuned", checkpoint="tuned", shots=10)
    maker.texts("tuned")
    flags = ("--features", "tuned", "--split", "val1")
    code, said, _ = evaluate("few-shot", *flags, "--against", "bad")
    assert code == 0
    assert "toy val1 10 shots embedding: tuned beats bad by" in said


def test_nothing_is_compared_with_itself(evaluate, maker):
    good = maker.store.features("toy", "good")
    set_name(maker.store.dataset("toy"), "alias", good.id, good.checkpoint, force=False)
    code, _, errors = evaluate(
        "zero-shot", "--features", "good", "--split", "val1", "--against", "alias"
    )
    assert (code, errors) == (
        2,
        ["vifi: good and alias are one feature set; give another to --against"],
    )
    code, _, errors = evaluate("base-to-novel", "--features", "good", "alias")
    assert code == 2
    assert "named twice in good, alias; name one per training run" in errors[-1]
