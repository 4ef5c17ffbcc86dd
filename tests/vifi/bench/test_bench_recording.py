"""Rows say which machine made them, lie in one file a benchmark, and stand beside earlier ones."""

import json
import os
from dataclasses import dataclass

import pytest

from vifi.bench import machine
from vifi.bench.bench_settings import Bench
from vifi.bench.recording import add_row, read_rows, record, script, table
from vifistore.errors import UsageError

CASE = ("size", "way")


@dataclass(frozen=True, kw_only=True)
class Small(Bench):
    """A benchmark of the tests."""

    sizes: tuple[int, ...] = (1, 2)
    """What is measured."""


def measure(settings):
    for size in settings.sizes:
        yield {"size": size, "way": "plain", "p50_ms": 2.0 * size, "is_exact": True, "peak": None}


@pytest.mark.parametrize(
    ("script", "version"), [("echo 570.86.15\necho 570.86.15", "570.86.15"), ("exit 9", "")]
)
def test_the_driver_is_what_nvidia_smi_says(tmp_path, monkeypatch, script, version):
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
    os.chmod(tmp_path / "nvidia-smi", 0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert machine._driver() == version
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert machine._driver() == ""


def test_rows_are_added_with_their_machine_and_shown_beside_earlier_ones(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    first = record("small", Small(), measure, CASE)
    assert read_rows(tmp_path / "bench" / "small.jsonl") == first
    assert {"benchmark", *CASE, "p50_ms", *machine.FIELDS} <= first[0].keys()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "small: size=1 way=plain",
        f"  {'p50_ms':<28} {2:>12}",
        f"  {'is_exact':<28} {'True':>12}",
    ]
    assert lines[-1] == "2 rows in bench/small.jsonl"
    record("small", Small(sizes=(2,)), measure, CASE)
    title, time, exact, _ = capsys.readouterr().out.splitlines()
    assert title.endswith(f"| earlier, {first[1]['device']}, {first[1]['time'][:10]}, | ratio")
    assert time == f"  {'p50_ms':<28} {4:>12} {4:>12}    1.000"
    assert exact.endswith("True         True")


def test_committed_rows_are_compared_with_wherever_new_ones_go(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    committed = tmp_path / "benchmarks" / "results" / "small.jsonl"
    add_row(committed, {"size": 1, "way": "plain", "p50_ms": 8.0, "machine": "M", "time": "2026"})
    before = committed.read_bytes()
    record("small", Small(sizes=(1,), out=tmp_path / "o"), measure, CASE)
    assert committed.read_bytes() == before
    assert len(read_rows(tmp_path / "o" / "small.jsonl")) == 1
    text = capsys.readouterr().out
    assert "| earlier, M, 2026, | ratio" in text
    assert "0.250" in text
    record("small", Small(sizes=(1,), note="busy"), measure, CASE)
    assert read_rows(committed)[1]["note"] == "busy"


def test_a_row_of_the_same_case_and_device_is_the_one_to_compare_with():
    row = {"benchmark": "b", "size": 1, "p50_ms": 3.0, "device": "A"}
    earlier = [
        {"size": 1, "p50_ms": 1.0, "device": "A"},
        {"size": 1, "p50_ms": 2.0, "device": "A"},
        {"size": 1, "p50_ms": 4.0, "device": "B"},
        {"size": 2, "p50_ms": 8.0, "device": "A"},
    ]
    assert list(table(row, CASE, earlier))[1].endswith("1.500")
    assert list(table(row, CASE, earlier[2:]))[1].endswith("0.750")
    assert list(table(row, CASE, earlier[3:]))[1].endswith(" 3")


def test_a_file_that_holds_no_rows_is_refused(tmp_path):
    path = tmp_path / "small.jsonl"
    path.write_text("no row\n")
    with pytest.raises(UsageError, match=r"small.jsonl is not a file of rows .*; give another"):
        record("small", Small(out=tmp_path), measure, CASE)
    assert read_rows(tmp_path / "other.jsonl") == []
    with pytest.raises(UsageError, match="is no folder; give another --out"):
        record("small", Small(out=path), measure, CASE)


def test_a_script_takes_its_settings_from_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["small", "--sizes", "3", "--out", str(tmp_path)])
    script("small", Small, measure, CASE, "About.")
    (line,) = (tmp_path / "small.jsonl").read_text().splitlines()
    assert json.loads(line)["size"] == 3
