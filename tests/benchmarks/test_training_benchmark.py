from benchmarks import training


def test_runs_untimed():
    sizes = {"num_frames": 1, "batch_size": 12, "clips": 1, "epochs": 2}
    ways = ("memory", "text-videos", "store")
    rows = {row["way"]: row for row in training.run(training.Training(**sizes, ways=ways))}
    assert tuple(rows) == ways
    assert all(row["steps"] == 2 for row in rows.values())
    assert all(0 <= row["data_share"] <= 1 for row in rows.values())
    assert rows["store"]["speed_up"] > 0
    assert rows["memory"]["matmul_share"] > 0
    assert rows["store"]["matmul_share"] is None
