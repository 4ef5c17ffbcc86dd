import json
import logging
import math
import multiprocessing
import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.results import (
    FIELDS,
    KEY_FIELDS,
    ResultRow,
    append_rows,
    from_record,
    read_frame,
    read_rows,
    to_record,
)
from vifistore.errors import DamagedError, UsageError

FIXED = (
    "protocol dataset split subset feature_set feature_names scored_checkpoint text_set "
    "template classifier trained_fusion fusion num_frames num_views shots seed classes "
    "num_videos num_quarantined listed metric value ci_low ci_high provenance"
)
# Rows without these are still read.
ADDED = "ranking lever tuned_on"


def make_row(**changes) -> ResultRow:
    row = ResultRow(
        protocol="zero-shot",
        dataset="ucf101",
        split="val1",
        feature_set="0123456789ab",
        feature_names=("vifi-clip@step-2000",),
        scored_checkpoint="vifi-clip@step-2000",
        text_set="ba9876543210",
        template="a photo of a {}.",
        fusion="embedding",
        num_frames=32,
        num_views=1,
        classes=101,
        num_videos=3783,
        num_quarantined=2,
        metric="top1",
        value=0.768,
        ci_low=0.75,
        ci_high=0.78,
        provenance={"recipe": "0123456789ab", "rows_covered": 3783},
    )
    return replace(row, **changes)


def test_rows_are_on_the_disk_before_anyone_is_told(tmp_path, monkeypatch):
    forced = []
    monkeypatch.setattr(os, "fsync", lambda file: forced.append(os.fstat(file).st_ino))
    append_rows(tmp_path, [make_row()])
    assert forced == [(tmp_path / "results.jsonl").stat().st_ino, tmp_path.stat().st_ino]


def test_fields_are_the_fixed_ones():
    assert " ".join(FIELDS) == f"{FIXED} {ADDED}"
    values = {"num_videos", "num_quarantined", "listed"}
    values |= {"value", "ci_low", "ci_high", "provenance", "tuned_on"}
    assert set(FIELDS) - set(KEY_FIELDS) == values


def test_rows_of_before_do_not_say_how_many_videos_were_listed(tmp_path):
    row = make_row(num_videos=100, num_quarantined=2, provenance={"num_todo": 3})
    record = to_record(row)
    assert record.pop("listed") is None
    (tmp_path / "results.jsonl").write_text(json.dumps(record) + "\n")
    assert read_rows(tmp_path) == [row]
    assert row.num_listed == 105
    append_rows(tmp_path, [replace(row, listed=3734)])
    (read,) = read_rows(tmp_path)
    assert (read.listed, read.num_listed) == (3734, 3734)
    with pytest.raises(UsageError, match="listed '9' is not a whole number or null"):
        from_record(record | {"listed": "9"})


def test_last_of_a_key_wins_and_order_stays(tmp_path):
    first, second = make_row(), make_row(metric="top5", value=0.9)
    append_rows(tmp_path, [first, second])
    newer = make_row(value=0.5, ci_low=None, ci_high=None, num_videos=10, num_quarantined=0)
    append_rows(tmp_path, [newer])
    assert read_rows(tmp_path) == [newer, second]
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 3


def test_every_key_field_makes_another_row(tmp_path):
    changed = dict.fromkeys(KEY_FIELDS, "other") | {
        "subset": "novel",
        "feature_names": ("other",),
        **dict.fromkeys(("num_frames", "num_views", "shots", "seed", "classes"), 7),
    }
    rows = [make_row()] + [make_row(**{name: value}) for name, value in changed.items()]
    append_rows(tmp_path, rows)
    assert read_rows(tmp_path) == rows
    # All but that of other names: they do not make another measurement.
    assert len({row.nameless_key for row in rows}) == len(rows) - 1
    other = make_row(provenance={"checkpoint": "other"})
    assert other.nameless_key != rows[0].nameless_key


def test_nothing_is_written_that_is_not_json(tmp_path):
    provenance = {"spread": math.inf, "values": np.array([1.0, np.nan]), "n": np.int64(3)}
    append_rows(tmp_path, [make_row(value=np.float32("nan"), provenance=provenance)])
    text = (tmp_path / "results.jsonl").read_text()
    record = json.loads(text, parse_constant=pytest.fail)
    assert record["value"] is None
    assert record["provenance"] == {"spread": None, "values": [1.0, None], "n": 3}
    assert math.isnan(read_rows(tmp_path)[0].value)


def test_torn_last_line_is_left_out_then_repaired(tmp_path, caplog):
    append_rows(tmp_path, [make_row()])
    path = tmp_path / "results.jsonl"
    path.write_bytes(path.read_bytes() + b'{"protocol": "zero-sh')
    with caplog.at_level(logging.WARNING):
        assert read_rows(tmp_path) == [make_row()]
        append_rows(tmp_path, [make_row(metric="top5")])
    assert [("torn" in record.message) for record in caplog.records] == [True, True]
    assert read_rows(tmp_path) == [make_row(), make_row(metric="top5")]
    assert b"zero-sh{" not in path.read_bytes()


@pytest.mark.parametrize("cut", [1, 2, 40])
def test_any_cut_of_the_last_line_keeps_the_rows_before(tmp_path, cut):
    append_rows(tmp_path, [make_row(), make_row(metric="top5")])
    path = tmp_path / "results.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    append_rows(tmp_path, [make_row(metric="mean_per_class")])
    kept = ["top1", "top5"] if cut == 1 else ["top1"]
    assert [row.metric for row in read_rows(tmp_path)] == [*kept, "mean_per_class"]


def test_damage_before_the_last_line_is_an_error(tmp_path):
    append_rows(tmp_path, [make_row()])
    path = tmp_path / "results.jsonl"
    path.write_bytes(b'{"protocol": \n' + path.read_bytes())
    with pytest.raises(DamagedError, match=r"line 1: not a result row .*remove or mend"):
        read_rows(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"colour": 1}, "unknown colour"), ({"value": "high"}, "'high' is not a number")],
)
def test_record_that_is_no_row(change, message):
    with pytest.raises(UsageError, match=message):
        from_record(to_record(make_row()) | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"provenance": None}, "provenance None is not an object"),
        ({"provenance": {"num_todo": "3"}}, "num_todo '3' is not a whole number"),
        ({"dataset": 5}, "dataset 5 is not a text"),
        ({"num_frames": "8"}, "num_frames '8' is not a whole number"),
        ({"num_frames": True}, "num_frames True is not a whole number"),
        ({"shots": 2.5}, "shots 2.5 is not a whole number or null"),
        ({"ci_low": "0.1"}, "ci_low '0.1' is not a number or null"),
        ({"feature_names": "vifi"}, "feature_names 'vifi' is not a list of texts"),
    ],
)
def test_a_value_of_the_wrong_type_is_damage_in_a_line(tmp_path, change, message):
    append_rows(tmp_path, [make_row()])
    path = tmp_path / "results.jsonl"
    record = to_record(make_row()) | change
    path.write_text(path.read_text() + json.dumps(record) + "\n")
    with pytest.raises(DamagedError) as caught:
        read_rows(tmp_path)
    assert f"{path}, line 2: " in str(caught.value)
    assert message in str(caught.value)


def test_a_line_that_is_no_object_is_damage(tmp_path):
    (tmp_path / "results.jsonl").write_text("[1]\n{}\n")
    with pytest.raises(DamagedError, match="line 1: not a result row: no object; remove or mend"):
        read_rows(tmp_path)


def test_a_line_too_deep_to_read_is_damage(tmp_path):
    (tmp_path / "results.jsonl").write_text("[" * 100_000 + "\n{}\n")
    with pytest.raises(DamagedError, match="line 1: not a result row"):
        read_rows(tmp_path)


def test_whole_numbers_are_numbers():
    row = from_record(to_record(make_row()) | {"value": 1, "ci_low": 0})
    assert (row.value, row.ci_low) == (1, 0)


def test_missing_folder_empty_folder_and_wrong_subset(tmp_path):
    with pytest.raises(UsageError, match="no results folder"):
        read_rows(tmp_path / "none")
    assert read_rows(tmp_path) == []
    assert " ".join(read_frame(tmp_path).columns) == f"{FIXED} {ADDED}"
    with pytest.raises(UsageError, match="all, base, novel, joint"):
        make_row(subset="everything")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="not a folder"):
        append_rows(tmp_path / "file", [make_row()])


def test_frame_has_one_row_per_key(tmp_path):
    append_rows(tmp_path, [make_row(shots=4), make_row(value=math.nan, ci_low=None)])
    frame = read_frame(tmp_path)
    assert frame["value"].tolist()[0] == 0.768
    assert math.isnan(frame["value"].tolist()[1])
    assert frame["shots"].isna().tolist() == [False, True]
    assert frame["num_videos"].sum() == 2 * 3783


def _append_many(folder, first):
    for seed in range(first, first + 20):
        append_rows(folder, [make_row(seed=seed)])


def test_two_processes_append_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=_append_many, args=(tmp_path, first)) for first in (0, 100)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert sorted(row.seed for row in read_rows(tmp_path)) == [*range(20), *range(100, 120)]


@settings(deadline=None, max_examples=30)
@given(
    value=st.floats(allow_nan=False, allow_infinity=False),
    text=st.text(max_size=20),
    seed=st.none() | st.integers(0, 2**40),
)
def test_round_trip(tmp_path_factory, value, text, seed):
    folder = tmp_path_factory.mktemp("results")
    row = make_row(value=value, template=text, split=text, seed=seed, provenance={text: [value]})
    append_rows(folder, [row])
    assert read_rows(folder) == [row]


def test_a_row_of_before_it_was_known_to_be_tuned_is_the_same_measurement():
    old, new = make_row(protocol="zero-shot"), make_row(protocol="tuned", tuned_on="toy/train")
    assert old.key == new.key
    assert old.nameless_key == new.nameless_key
