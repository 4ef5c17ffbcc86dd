"""`vifi scan --window`: long videos become rows of their parts, also while a folder grows."""

import json

import numpy as np
import pytest

from tests.vifistore.extract.conftest import write_clip
from vifi.__main__ import run
from vifistore.store import open_store
from vifistore.store.verifying.verify import verify_store


@pytest.fixture
def videos(tmp_path):
    """A clip of 0.48 seconds of class run, and one of 0.16 of class jump."""
    write_clip(tmp_path / "v" / "run" / "a.mp4", seed=0, num_frames=12)
    write_clip(tmp_path / "v" / "jump" / "b.mp4", seed=1, num_frames=4)
    return tmp_path / "v"


@pytest.fixture
def scan(tmp_path, capsys):
    """Call with a source and flags; returns exit code, output and error lines."""

    def call(source, *flags):
        words = ["scan", tmp_path / "s.zarr", source, "--dataset", "d", *flags]
        code = run([str(word) for word in words])
        told = capsys.readouterr()
        return code, told.out, told.err.strip().splitlines()

    return call


def rows(tmp_path):
    """Id, label, start and end of every row; -1 for the end of the file."""
    table = open_store(tmp_path / "s.zarr").videos("d")
    ends = np.nan_to_num(table["end_seconds"], nan=-1).tolist()
    return [*zip(table["id"], table["label"], table["start_seconds"], ends, strict=True)]


PARTS = [
    ("jump/b.mp4", "jump", 0.0, -1.0),
    ("run/a.mp4@0-0.2", "run", 0.0, 0.2),
    ("run/a.mp4@0.2-0.4", "run", 0.2, 0.4),
    ("run/a.mp4@0.4-end", "run", 0.4, -1.0),
]


def test_long_videos_are_cut_and_keep_label_and_split(videos, scan, tmp_path, capsys):
    code, out, errors = scan(videos, "--split", "test", "--window", "0.2")
    assert code == 0
    assert out == "d: 4 videos added, 4 in all, 2 classes, splits test\n"
    assert "1 of 2 videos are cut into 3 stretches" in errors
    assert rows(tmp_path) == PARTS
    store = open_store(tmp_path / "s.zarr")
    assert store.dataset("d").split("test").rows.tolist() == [0, 1, 2, 3]
    assert store.videos("d")["duration_seconds"].tolist() == pytest.approx([0.16, 0.48, 0.48, 0.48])
    assert list(verify_store(store)) == []
    assert run(["info", str(store.path)]) == 0
    told = capsys.readouterr().out
    assert "dataset d: 4 videos, of them 3 stretches of 1 files (median 0.2 s), 2 cl" in told
    assert run(["info", str(store.path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)["datasets"]["d"]["stretches"]
    assert facts == {"rows": 3, "files": 1, "median_seconds": pytest.approx(0.2)}


def test_a_folder_that_grows_is_cut_on_and_what_is_there_is_not_opened(
    videos, scan, tmp_path, monkeypatch
):
    assert scan(videos, "--split", "test", "--window", "0.2")[0] == 0
    opened = []
    monkeypatch.setattr(
        "vifistore.videos.probe.open_container",
        lambda video, *_: opened.append(str(video)) or (_ for _ in ()).throw(OSError),
    )
    # As a whole it is there already, and with another window, too.
    for flags in (("--window", "0.1"), ("--window", "0.2", "--stride", "0.1"), ()):
        code, out, _ = scan(videos, "--split", "test", "--append", "--json", *flags)
        assert (code, json.loads(out)["added"]) == (0, 0)
    assert opened == []
    monkeypatch.undo()
    write_clip(videos / "run" / "a2.mp4", seed=2, num_frames=8)
    code, _, errors = scan(videos, "--append", "--window", "0.2")
    assert code == 0
    assert "1 of 1 videos are cut into 2 stretches" in errors
    assert rows(tmp_path) == [
        *PARTS,
        ("run/a2.mp4@0-0.2", "run", 0.0, 0.2),
        ("run/a2.mp4@0.2-end", "run", 0.2, -1.0),
    ]


def test_whole_videos_behind_stretches_are_told(videos, scan, tmp_path):
    assert scan(videos, "--window", "0.2")[0] == 0
    write_clip(videos / "run" / "a2.mp4", seed=2, num_frames=8)
    code, _, errors = scan(videos, "--append")
    assert code == 0
    assert any("1 videos are added whole" in line and "--window" in line for line in errors)
    assert rows(tmp_path)[-1] == ("run/a2.mp4", "run", 0.0, -1.0)


def test_videos_that_tell_no_length_stay_whole(videos, scan, tmp_path):
    (videos / "run" / "broken.mp4").write_bytes(b"no video")
    code, _, errors = scan(videos, "--window", "0.2")
    assert code == 0
    told = "1 of 3 videos do not tell how long they are, and stay whole: run/broken.mp4"
    assert told in errors
    assert ("run/broken.mp4", "run", 0.0, -1.0) in rows(tmp_path)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--stride", "5"), "give their --window too"),
        (("--window", "0"), "--window 0 is no length; give seconds above 0"),
        (("--window", "nan"), "--window nan is no length"),
        (("--window", "5", "--stride", "-1"), "--stride -1 is no length"),
    ],
)
def test_lengths_that_are_none_are_refused_before_anything_is_read(scan, tmp_path, flags, told):
    code, _, errors = scan(tmp_path / "nowhere", *flags)
    assert code == 2
    assert told in errors[-1]


def test_a_window_needs_videos(scan, videos, tmp_path, capsys):
    assert scan(videos)[0] == 0
    words = ["scan", str(tmp_path / "s.zarr"), "--dataset", "d", "--window", "5"]
    assert run([*words, "--few-shot", "all"]) == 2
    assert "--window cuts the videos of a SOURCE; name it" in capsys.readouterr().err
