"""Reliability diagrams, before and after calibration."""

import pytest

from harness.results import append_rows
from reports.figures.reliability import draw_reliability, reliability_diagrams
from reports.measurements import measurements
from reports.report import make_report

BINS = {"counts": [0, 30, 10], "confidence": [0, 0.5, 0.9], "accuracy": [0, 0.6, 0.7]}


@pytest.fixture
def rows(row):
    shared = {"protocol": "zero-shot", "split": "test", "metric": "calibration_error"}
    told = {"reliability": BINS}
    return [
        row("a", **shared, value=0.2, provenance=told),
        row("a", **shared, value=0.1, provenance=told, lever="temperature"),
        row("a", **shared, value=0.3, provenance=told, lever="mutual-softmax"),
        row("b", **shared, value=0.2, provenance=told),
    ]


def test_a_model_that_was_calibrated_is_shown_before_and_after(rows):
    before, after = reliability_diagrams(measurements(rows))
    assert [before.label, after.label] == ["plain", "temperature"]
    assert before.panel == after.panel == "a, shapes, test"
    assert before.points == ((50.0, 60.0, 0.75), (90.0, 70.0, 0.25))
    assert after.error == pytest.approx(10)
    assert reliability_diagrams(measurements([rows[0], *rows[2:]])) == []


def test_it_is_drawn_and_part_of_the_report(rows, tmp_path, svg_texts):
    (path,) = draw_reliability(reliability_diagrams(measurements(rows)), tmp_path / "r")
    assert {"plain, error 20.0", "temperature, error 10.0"} <= set(svg_texts(path))
    append_rows(tmp_path / "out", rows)
    written = {path.stem for path in make_report(tmp_path / "out")}
    assert {"reliability", "levers"} <= written


@pytest.mark.parametrize(
    "told",
    [
        *(None, 3, {}, {**BINS, "counts": "x"}, {**BINS, "accuracy": [0, "a", 1]}),
        {**BINS, "counts": [0] * 1000},
        {**BINS, "counts": [0, 1e300, 1]},
    ],
)
def test_bins_of_a_file_are_not_trusted(row, told):
    shared = {"metric": "calibration_error", "provenance": {"reliability": told}}
    rows = [row("a", **shared, value=0.2, lever=lever) for lever in ("", "temperature")]
    assert reliability_diagrams(measurements(rows)) == []
