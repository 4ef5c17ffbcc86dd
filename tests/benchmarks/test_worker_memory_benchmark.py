"""The benchmark of a worker's memory gives a row for every size and decoder."""

from benchmarks import worker_memory


def test_a_row_says_what_a_worker_held():
    rows = list(worker_memory.run(worker_memory.Memory(sizes=((320, 240),), frames=4)))
    assert [row["read_by"] for row in rows] == ["pyav", "pyav"]
    for row in rows:
        assert (row["width"], row["height"], row["frames"]) == (320, 240, 4)
        # An interpreter with a decoder, and no more than that.
        assert 20 < row["worker_peak_mb"] < 500
