"""The benchmark of t-SNE runs, tiny and untimed."""

from benchmarks.tsne import Tsne, run


def test_it_gives_a_row():
    (row,) = run(Tsne(num_videos=60, dim=8, num_classes=3, rounds=1))
    assert row["ratio"] > 0
    assert row["num_videos"] == 60
