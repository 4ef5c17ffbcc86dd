"""The benchmark of t-SNE runs, tiny and untimed."""

import json

from benchmarks.tsne import Tsne, main


def test_it_adds_a_row(tmp_path, capsys):
    path = tmp_path / "tsne.jsonl"
    main(Tsne(num_videos=60, dim=8, num_classes=3, rounds=1, results=path))
    row = json.loads(path.read_text())
    assert json.loads(capsys.readouterr().out) == row
    assert row["ratio"] > 0
    assert len(row["ours_seconds"]) == len(row["plain_seconds"]) == 1
