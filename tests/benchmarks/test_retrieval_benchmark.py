"""The benchmark of the search indexes runs; its numbers are for quiet machines."""

import csv

from benchmarks.retrieval import RetrievalBenchmark, main


def test_runs(tmp_path):
    settings = RetrievalBenchmark(
        num_flat=500,
        num_clustered=800,
        num_clusters=20,
        dim=32,
        query_counts=(1, 3),
        pairs=1,
        results=tmp_path / "retrieval.csv",
    )
    main(settings)
    with open(settings.results, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] for row in rows] == ["flat", "flat", "ivf", "hnsw"]
    assert all(float(row["ratio"]) > 0 for row in rows)
    assert all(float(row["recall_at_10"]) >= 0.95 for row in rows)
    assert all(row["machine"] and row["versions"] for row in rows)
