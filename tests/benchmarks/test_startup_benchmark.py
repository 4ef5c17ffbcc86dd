"""The benchmark of starting runs; its numbers are for quiet machines."""

from benchmarks import startup


def test_runs(monkeypatch):
    # Importing torch and OpenCLIP is what takes the time, and is not ours.
    monkeypatch.setattr(startup, "_IMPORT", "import json")
    settings = startup.StartupBenchmark(num_videos=70, repeats=1, num_queries=3, verbs=("name",))
    rows = {row["measure"]: row for row in startup.run(settings)}
    assert list(rows) == [*("help name", "info", "search", "search without torch", "warm query")]
    assert all(0 < row["p50_ms"] < 60_000 for row in rows.values())
    assert rows["search"]["ratio"] > 0
    assert 0 < rows["search without torch"]["ratio"] < 1
