"""`vifi scan`: splits that it makes, and overlaps with those that a dataset has already."""

import pytest

from tests.vifistore.extract.conftest import write_clip
from vifi.__main__ import run
from vifistore.store import open_store


@pytest.fixture
def scan(tmp_path, capsys):
    """Call with a table's lines and flags; returns exit code and error lines."""
    for number in range(6):
        write_clip(tmp_path / "v" / f"{number}.mp4", seed=number, num_frames=2)

    def call(lines, *flags):
        (tmp_path / "list.csv").write_text("path,label,split\n" + lines)
        words = ["scan", tmp_path / "s.zarr", tmp_path / "list.csv", "--dataset", "d"]
        code = run([str(word) for word in [*words, "--root", tmp_path / "v", *flags]])
        return code, capsys.readouterr().err.strip().splitlines()

    return call


TABLE = "0.mp4,a,train\n1.mp4,b,train\n2.mp4,b,train\n3.mp4,a,test\n4.mp4,b,test\n"


def test_halves_and_draws_are_stored_with_their_notes(scan, tmp_path):
    draws = ("--few-shot", "train", "--shots", "1", "--seeds", "1", "2")
    code, _ = scan(TABLE, "--halves", "train", "test", *draws)
    assert code == 0
    store = open_store(tmp_path / "s.zarr")
    assert set(store.splits("d")) == {
        *("train", "test", "base_train", "base_val", "novel_val"),
        *("train_few_shot_1_s1", "train_few_shot_1_s2"),
    }
    assert store.split("d", "base_val").class_names == ["b"]
    assert store.split("d", "novel_val").labels.tolist() == [0]
    assert len(store.split("d", "train_few_shot_1_s1").rows) == 2


def test_a_test_split_that_holds_stored_training_videos_is_refused(scan, tmp_path):
    assert scan(TABLE)[0] == 0
    code, errors = scan("2.mp4,b,val\n5.mp4,a,val\n", "--append")
    assert code == 2
    assert "train and val share 1 videos (2.mp4); take them out of one of the lists" in errors[-1]
    assert "val" not in open_store(tmp_path / "s.zarr").splits("d")
    assert scan("5.mp4,a,val\n", "--append")[0] == 0
