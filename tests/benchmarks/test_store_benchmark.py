"""The benchmarks of the store run once, small and untimed, so that they cannot rot."""

from benchmarks import scale, store


def test_every_measure_of_the_store_is_taken():
    sizes = {"num_videos": 130, "num_frames": 2, "dim": 8}
    rows = list(store.run(store.StoreBenchmark(**sizes, num_random=9, num_sets=5, pairs=1)))
    assert [row["measure"] for row in rows] == [
        *("write", "read", "random unverified", "random verified", "open")
    ]
    assert all(row["p50_ms"] > 0 and row["speed_over_plain"] >= 0 for row in rows)


def test_every_size_is_written_and_read():
    rows = list(scale.run(scale.Scale(sizes=(3, 130), num_frames=2, dim=8)))
    assert [row["videos"] for row in rows] == [3, 130]
    assert all(row["peak_mebibytes"] > 0 for row in rows)
