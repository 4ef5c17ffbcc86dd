from benchmarks import growing


def test_rows_say_what_a_folder_that_grows_costs():
    rows = list(growing.run(growing.Growing(num_videos=70, num_added=2, pairs=1)))
    assert [row["measure"] for row in rows] == ["scan", "extract"]
    assert all(row["p50_ms"] > 0 and row["reference_p50_ms"] > 0 for row in rows)
