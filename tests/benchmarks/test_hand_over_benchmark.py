"""The benchmark of handing frames over gives a row for each size and way."""

from benchmarks import hand_over


def test_rows_say_what_either_side_took():
    wanted = hand_over.HandOver(sizes=((40, 30),), frames=2, videos=4, turns=1)
    rows = list(hand_over.run(wanted))
    assert [row["way"] for row in rows] == ["file", "arena"]
    assert rows[0]["times_by_file"] == 1
    for row in rows:
        assert (row["width"], row["height"], row["frames"]) == (40, 30, 2)
        assert min(row["frames_per_second"], row["memcpy_frames_per_second"]) > 0
        # Of so few pixels all is overhead.
        assert 0 <= max(row["worker_ms"], row["thread_ms"]) < 1000
