"""What lifts it: levers under the plain score that they are compared with."""

import re

import pytest

from harness.results import append_rows
from reports.layouts.lever_table import lever_table
from reports.layouts.protocol_tables import protocol_tables
from reports.measurements import measurements
from reports.report import make_report

_CHOSEN = "chosen on shapes/val, which was trained on"


@pytest.fixture
def rows(row):
    shared = {"protocol": "zero-shot", "split": "test"}
    lifted = {"seconds": 0.125, "transductive": True}
    lever = {**shared, "lever": "mutual-softmax", "provenance": {"lifted": lifted}}
    tuned = {"lifted": {"seconds": 2, "tuned_on": "shapes/val", "seen_in_training": 3}}
    return [
        row("a", **shared, value=0.5),
        row("a", **shared, value=0.1, metric="calibration_error"),
        row("b", **shared, value=0.7),
        row("a", **lever, value=0.52),
        row("a", **lever, value=0.02, metric="top1_minus_plain", ci_low=-0.01, ci_high=0.05),
        row("a", **{**lever, "lever": "temperature", "provenance": tuned}, value=0.5),
    ]


def test_levers_stand_below_their_plain_score(rows):
    table = lever_table(measurements(rows))
    assert table is not None
    assert [row.label for row in table.rows] == ["plain", "mutual-softmax", "temperature"]
    assert [row.detail for row in table.rows] == ["", "transductive", _CHOSEN]
    assert {row.section for row in table.rows} == {"a"}
    headings = [column.heading for column in table.columns]
    assert headings == ["Top-1", "Minus plain", "Calibration error", "Seconds"]
    values = [[cell.value for cell in row.cells] for row in table.rows]
    assert values == [
        [50.0, None, 10.0, None],
        [52.0, 2.0, None, 0.125],
        [50.0, None, None, 2.0],
    ]
    gained = table.rows[1].cells[1]
    assert (gained.low, gained.high) == (-1.0, 5.0)


def test_no_other_table_shows_them(rows, tmp_path):
    append_rows(tmp_path, rows)
    make_report(tmp_path)
    assert "mutual-softmax" in (tmp_path / "levers.md").read_text()
    page = (tmp_path / "index.html").read_text()
    links = re.findall(r'<a href="#(row-[0-9a-f]{12})">', page)
    # Of the plain scores and of three numbers of levers.
    assert set(links) == set(re.findall(r'<tr id="(row-[0-9a-f]{12})">', page))
    assert len(set(links)) == len(rows)
    assert "mutual-softmax" not in (tmp_path / "zero-shot.md").read_text()
    (zero_shot,) = protocol_tables([m for m in measurements(rows) if not m.row.lever])
    assert [row.label for row in zero_shot.rows] == ["a", "b"]


def test_an_ensemble_that_is_not_zero_shot_stands_under_its_plain_score_and_says_so(rows, row):
    lever = {"protocol": "tuned", "split": "test", "lever": "ensemble-logit"}
    told = {"lifted": {"seconds": 1.0}}
    one = row("a", **lever, tuned_on="shapes/train", provenance=told, value=0.8)
    table = lever_table(measurements([*rows, one]))
    assert table is not None
    assert {row.section for row in table.rows} == {"a"}
    details = {row.label: row.detail for row in table.rows}
    assert details["ensemble-logit"] == "tuned on shapes/train"
    assert details["plain"] == ""
    assert "Tuned on shapes/train: not zero-shot." in [note.text for note in table.notes.values()]


def test_choices_of_one_lever_are_rows_of_their_own(rows, row):
    def ensemble(value, *names, **others):
        told = {"lifted": {"seconds": 1.0, "weights": dict.fromkeys(["a", *names], 0.5)}}
        lever = {"protocol": "zero-shot", "split": "test", "lever": "ensemble-logit"}
        return row("a", **lever, provenance=told, value=value, **others)

    measured = [ensemble(0.8, "b"), ensemble(0.9, "c"), ensemble(0.7, "c", dataset="other")]
    assert len({one.key for one in measured}) == 3
    table = lever_table(measurements([*rows, *measured]))
    assert table is not None
    found = [line for line in table.rows if line.label == "ensemble-logit"]
    assert [line.detail for line in found] == ["with b, with c", "with c"]
    top1 = [[cell.value for cell in line.cells[::4]] for line in found]
    assert top1 == [[80.0, 70.0], [90.0, None]]


def test_rows_without_levers_make_no_table(rows):
    assert lever_table(measurements(rows[:3])) is None


@pytest.mark.parametrize("lifted", [None, 3, {"seconds": "x"}, {"seconds": float("nan")}])
def test_facts_of_a_file_are_not_trusted(row, lifted):
    shared = {"protocol": "zero-shot", "lever": "x", "provenance": {"lifted": lifted}}
    table = lever_table(measurements([row("a", **shared, value=0.5)]))
    assert table is not None
    assert table.rows[1].cells[-1].value is None
