"""The benchmark of kinds of files gives a row for each, and measures an earlier checkout beside."""

from pathlib import Path

from benchmarks import decode_kinds


def test_a_row_tells_of_each_kind(tmp_path, monkeypatch):
    monkeypatch.setattr(decode_kinds, "SIZE", (64, 48))
    monkeypatch.setattr(decode_kinds, "NUM_FRAMES", 12)
    for name in ("h264-b.mp4", "mpeg4.avi"):
        decode_kinds.write(tmp_path / name, *decode_kinds.MADE[name])
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    root = Path(decode_kinds.__file__).parents[1]
    settings = decode_kinds.Kinds(folder=tmp_path, earlier=root, clip_frames=(3,), repeats=1)
    rows = list(decode_kinds.run(settings))
    kinds = {row["kind"]: row["videos"] for row in rows}
    assert kinds == {"all": 2, "avi mpeg4": 1, "mp4 h264, both ways": 1}
    for row in rows:
        assert row["are_same"]
        assert min(row["ours_seconds"], row["plain_seconds"], row["earlier_seconds"]) > 0
        assert 0 < row["least_seconds"] < row["plain_seconds"]


def test_every_kind_can_be_made(tmp_path, monkeypatch):
    monkeypatch.setattr(decode_kinds, "SIZE", (64, 48))
    monkeypatch.setattr(decode_kinds, "NUM_FRAMES", 6)
    for name, (codec, options) in decode_kinds.MADE.items():
        decode_kinds.write(tmp_path / name, codec, options)
        assert (tmp_path / name).stat().st_size > 1000
