import csv
import io
import json

import pytest

from harness.results import append_rows
from tests.reports.conftest import NASTY, make_row


@pytest.fixture
def results(tmp_path):
    rows = [make_row("full", 0.5), make_row("=1+1", 0.7), make_row(NASTY, float("nan"), shots=3)]
    append_rows(tmp_path, rows)
    return tmp_path


def test_a_table_says_once_what_all_rows_share(said, results):
    code, out, _ = said("results", results)
    assert code == 0
    shared, head, *lines = out.splitlines()
    assert "dataset shapes, split test, protocol zero-shot" in shared
    assert head.split() == ["name", "shots", "value", "ci_low", "ci_high"]
    assert lines[0].split() == ["full", "0.5000", "0.4700", "0.5300"]
    assert len(lines) == 3


def test_csv_runs_nothing_in_a_spreadsheet(said, results):
    out = said("results", results, "--format", "csv", "--columns", "value", "name")[1]
    (head, *lines) = csv.reader(io.StringIO(out))
    assert head == ["value", "name"]
    assert lines == [["0.5", "full"], ["0.7", "'=1+1"], ["", NASTY]]


def test_json_of_what_is_asked_for_largest_first(said, results):
    words = ("--where", "value>0.1", "--where", "name=*1*", "--sort", "value", "--format", "json")
    assert [row["name"] for row in json.loads(said("results", results, *words)[1])["rows"]] == [
        "=1+1"
    ]
    out = said("results", results, "--where", "value>0.1", "--sort", "value", "--format", "json")[1]
    assert [row["value"] for row in json.loads(out)["rows"]] == [0.7, 0.5]
    assert json.loads(out)["rows"][1]["command"].startswith("vifi evaluate")


def test_names_steer_no_terminal(said, tmp_path):
    append_rows(tmp_path, [make_row("a\x1b[2Jb\nc"), make_row("x" * 99)])
    out = said("results", tmp_path)[1]
    assert "\x1b" not in out
    assert "a?[2Jb?c" in out
    assert "x" * 37 + "..." in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--where", "value>9"), "has no result row of these conditions"),
        (("--where", "valu>9"), "unknown key 'valu'"),
        (("--sort", "x"), "unknown key 'x'"),
        (("--columns", "name", "y"), "unknown key 'y'"),
        (("--where", "__import__('os')"), "is no condition"),
    ],
)
def test_wrong_calls(said, results, words, told):
    code, out, error = said("results", results, *words)
    assert (code, out) == (2, "")
    assert told in error


def test_no_folder(said, tmp_path):
    code, _, error = said("results", tmp_path / "gone")
    assert code == 2
    assert "no results folder" in error
