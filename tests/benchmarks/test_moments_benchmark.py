"""The benchmark of moment search runs; its numbers are for quiet machines."""

from benchmarks.moments import MomentsBenchmark, run


def test_runs():
    settings = MomentsBenchmark(
        num_files=6, rows_per_file=20, num_frames=5, dim=32, num_clusters=10, num_queries=4
    )
    rows = list(run(settings))
    assert [row["index"] for row in rows] == ["given", "bundles"]
    assert all(row["recall_at_10"] >= 0.9 for row in rows)
    assert all(row["warm_p50_ms"] > 0 for row in rows)
    assert rows[0]["frames"] == 600
