"""The benchmark of starting runs; its numbers are for quiet machines."""

import csv

from benchmarks import startup


def test_runs(tmp_path, monkeypatch):
    # Importing torch and OpenCLIP is what takes the time, and is not ours.
    monkeypatch.setattr(startup, "_IMPORT", "import json")
    settings = startup.StartupBenchmark(
        num_videos=70, repeats=1, num_queries=3, verbs=("name",), results=tmp_path / "startup.csv"
    )
    startup.main(settings)
    with open(settings.results, encoding="utf-8") as file:
        rows = {row["measure"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["help name", "info", "search", "warm query"]
    assert all(0 < float(row["seconds"]) < 60 for row in rows.values())
    assert float(rows["search"]["ratio"]) > 0
