"""The benchmark of previews runs, tiny and untimed."""

from benchmarks.watching import WatchingBenchmark, run


def test_it_gives_a_row_for_each_measure():
    rows = list(run(WatchingBenchmark(num_videos=2, rounds=1)))
    assert [(row["measure"], row["kind"], row["videos"]) for row in rows] == [
        ("first", "avi", 2),
        ("middle", "avi", 2),
        ("next", "avi", 2),
    ]
    assert all(row["ratio"] > 0 for row in rows)
