"""The benchmarks of the store run once, small and untimed, so that they cannot rot."""

import csv

from benchmarks import scale, store


def test_every_measure_of_the_store_is_taken(tmp_path, capsys):
    results = tmp_path / "store.csv"
    sizes = {"num_videos": 130, "num_frames": 2, "dim": 8}
    settings = store.StoreBenchmark(**sizes, num_random=9, num_sets=5, pairs=1, results=results)
    store.main(settings)
    rows = list(csv.DictReader(results.read_text().splitlines()))
    assert [row["measure"] for row in rows] == [
        *("write", "read", "random unverified", "random verified", "open")
    ]
    for row in rows:
        assert float(row["store_ms"]) > 0
        assert row["machine"]
        assert "zarr" in row["versions"]
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_every_size_is_written_and_read(tmp_path):
    results = tmp_path / "scale.csv"
    scale.main(scale.Scale(sizes=(3, 130), num_frames=2, dim=8, results=results))
    rows = list(csv.DictReader(results.read_text().splitlines()))
    assert [row["videos"] for row in rows] == ["3", "130"]
    assert all(int(row["peak_mebibytes"]) > 0 for row in rows)
