"""The benchmark of a worker's memory adds a row for every size and decoder."""

import csv

from benchmarks import worker_memory


def test_a_row_says_what_a_worker_held(tmp_path):
    results = tmp_path / "rows.csv"
    settings = worker_memory.Memory(sizes=((320, 240),), frames=4, results=results)
    worker_memory.main(settings)
    worker_memory.main(settings)
    with results.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["read_by"] for row in rows] == ["decord", "pyav"] * 2
    for row in rows:
        assert (row["width"], row["height"], row["frames"]) == ("320", "240", "4")
        # An interpreter with a decoder, and no more than that.
        assert 20 < float(row["worker_peak_mb"]) < 500
