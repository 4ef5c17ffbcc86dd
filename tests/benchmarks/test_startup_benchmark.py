"""The benchmark of starting runs; its numbers are for quiet machines."""

from pathlib import Path

import pytest

from benchmarks import startup
from tests.vifistore.extract.conftest import write_clip


@pytest.mark.slow
def test_runs(monkeypatch):
    # Importing torch and OpenCLIP is what takes the time, and is not ours.
    monkeypatch.setattr(startup, "_IMPORT", "import json")
    settings = startup.StartupBenchmark(num_videos=70, repeats=1, num_queries=3, verbs=("name",))
    rows = {row["measure"]: row for row in startup.run(settings)}
    assert list(rows) == [*("help name", "info", "search", "search without torch", "warm query")]
    assert all(0 < row["p50_ms"] < 60_000 for row in rows.values())
    # Which is quicker is for the rows to say: here the machine does other things as well.
    assert all(rows[measure]["ratio"] > 0 for measure in ("search", "search without torch"))


@pytest.mark.slow
def test_extractions_in_turns(monkeypatch, tmp_path):
    monkeypatch.setattr(startup, "_EXTRACTED", startup.MODEL)
    for number in range(2):
        write_clip(tmp_path / "v" / f"{number}.mp4", seed=number)
    settings = startup.StartupBenchmark(repeats=1, extract=tmp_path / "v", against=Path.cwd())
    one, both = startup.run(settings)
    assert (one["measure"], one["videos"], both["measure"], both["videos"]) == (
        *("extract start", 1, "extract", 2),
    )
    assert 0 < one["beyond_seconds"] * 1e3 < one["p50_ms"]
    assert one["reference_cpu_seconds"] > 0
