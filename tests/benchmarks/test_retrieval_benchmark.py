"""The benchmark of the search indexes runs; its numbers are for quiet machines."""

from benchmarks.retrieval import RetrievalBenchmark, run


def test_runs():
    settings = RetrievalBenchmark(
        num_flat=500, num_clustered=800, num_clusters=20, dim=32, query_counts=(1, 3), pairs=1
    )
    rows = list(run(settings))
    assert [row["kind"] for row in rows] == ["flat", "flat", "ivf", "hnsw"]
    assert all(row["ratio"] > 0 for row in rows)
    assert all(row["recall_at_10"] >= 0.95 for row in rows)
