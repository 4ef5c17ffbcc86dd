"""`vifi scan`: splits that it makes, and overlaps with those that a dataset has already."""

import shutil

import pytest

from tests.vifistore.extract.conftest import write_clip
from tests.vifistore.store.conftest import RECORD
from vifi.__main__ import run
from vifistore.store import open_store


@pytest.fixture
def scan(tmp_path, capsys):
    """Call with a table's lines and flags; returns exit code and error lines."""
    for number in range(6):
        write_clip(tmp_path / "v" / f"{number}.mp4", seed=number, num_frames=2)

    def call(lines, *flags):
        words = ["scan", tmp_path / "s.zarr", "--dataset", "d"]
        if lines:
            (tmp_path / "list.csv").write_text("path,label,split\n" + lines)
            words += [tmp_path / "list.csv", "--root", tmp_path / "v"]
        code = run([str(word) for word in [*words, *flags]])
        return code, capsys.readouterr().err.strip().splitlines()

    return call


TABLE = "0.mp4,a,train\n1.mp4,b,train\n2.mp4,b,train\n3.mp4,a,test\n4.mp4,b,test\n"


def test_halves_and_draws_are_stored_with_their_notes(scan, tmp_path):
    draws = ("--few-shot", "train", "--shots", "1", "--seeds", "1", "2")
    code, _ = scan(TABLE, "--halves", "train", "test", *draws)
    assert code == 0
    store = open_store(tmp_path / "s.zarr")
    assert set(store.dataset("d").splits()) == {
        *("train", "test", "base_train", "base_val", "novel_val"),
        *("train_few_shot_1_s1", "train_few_shot_1_s2"),
    }
    assert store.dataset("d").split("base_val").class_names == ["b"]
    assert store.dataset("d").split("novel_val").labels.tolist() == [0]
    assert len(store.dataset("d").split("train_few_shot_1_s1").rows) == 2


def test_splits_are_made_of_those_that_the_dataset_has(scan, tmp_path):
    draws = ("--few-shot", "base_train", "--shots", "1")
    together = tmp_path / "s.zarr"
    assert scan(TABLE, "--halves", "train", "test", *draws)[0] == 0
    made = {
        name: open_store(together).dataset("d").split(name)
        for name in open_store(together).dataset("d").splits()
    }
    shutil.rmtree(together)
    # One after the other, with another video in between and with or without the source.
    assert scan("5.mp4,a,other\n")[0] == 0
    assert scan(TABLE, "--append")[0] == 0
    assert scan("", "--halves", "train", "test")[0] == 0
    assert scan("5.mp4,a,other\n", "--append", *draws)[0] == 0
    store = open_store(together)
    ids = store.videos("d")["id"].to_numpy()
    assert set(store.dataset("d").splits()) == {*made, "other"}
    for name, split in made.items():
        found = store.dataset("d").split(name)
        assert [ids[row] for row in found.rows] == [f"{row}.mp4" for row in split.rows]
        assert (found.labels.tolist(), found.class_names) == (
            split.labels.tolist(),
            split.class_names,
        )
        assert found.digest == split.digest
    code, errors = scan("", "--few-shot", "base_trian")
    assert code == 2
    assert "unknown split 'base_trian'. Did you mean 'base_train'?" in errors[-1]
    code, errors = scan("")
    assert code == 2
    assert errors[-1].startswith("vifi: SOURCE is missing: name a folder of videos, a table or a")


def test_a_part_of_a_dataset_has_halves_and_draws_of_the_classes_that_are_there(scan, tmp_path):
    lines = TABLE + "far.mp4,c,train\n" + "near.mp4,a,test\n"
    draws = ("--few-shot", "train", "--shots", "1")
    code, errors = scan(lines, "--halves", "train", "test", *draws)
    assert code == 0
    assert "base and novel are halves of the 2 of 3 classes that have training videos" in errors
    store = open_store(tmp_path / "s.zarr")
    found = {name: store.dataset("d").split(name) for name in store.dataset("d").splits()}
    assert {name: split.num_listed for name, split in found.items()} == {
        # One of each of the three classes would have been drawn.
        **{"train": 4, "test": 3, "train_few_shot_1": 3},
        **{"base_train": 2, "base_val": 1, "novel_val": 2},
    }
    assert found["train_few_shot_1"].class_names == ["a", "b", "c"]
    assert found["novel_val"].class_names == ["a"]
    assert found["novel_val"].listed == {"a": 2}


def test_a_test_split_that_holds_stored_training_videos_is_refused(scan, tmp_path):
    assert scan(TABLE)[0] == 0
    code, errors = scan("2.mp4,b,val\n5.mp4,a,val\n", "--append")
    assert code == 2
    assert "train and val share 1 videos (2.mp4); take them out of one of the lists" in errors[-1]
    assert "val" not in open_store(tmp_path / "s.zarr").dataset("d").splits()
    assert scan("5.mp4,a,val\n", "--append")[0] == 0


def test_a_split_is_replaced_where_that_is_said(scan, tmp_path):
    assert scan(TABLE)[0] == 0
    other = "3.mp4,b,test\n5.mp4,a,test\n"
    code, errors = scan(other, "--append")
    assert code == 2
    assert "exists with other rows; give another --split NAME, or --replace" in errors[-1]
    assert len(open_store(tmp_path / "s.zarr").videos("d")) == 5
    assert scan(other, "--append", "--replace")[0] == 0
    store = open_store(tmp_path / "s.zarr")
    assert list(store.videos("d")["id"][store.dataset("d").split("test").rows]) == [
        "3.mp4",
        "5.mp4",
    ]
    assert store.dataset("d").splits() == ["test", "train"]


def test_what_was_trained_on_a_replaced_split_is_told(scan, tmp_path):
    assert scan(TABLE)[0] == 0
    store = open_store(tmp_path / "s.zarr", mode="a")
    settings = {"trained_on": {"dataset": "d", "split": "train"}}
    store.add_checkpoint({**RECORD, "name": "head", "settings": settings})
    assert not any("trained on" in line for line in scan(TABLE, "--append", "--replace")[1])
    code, errors = scan("0.mp4,a,train\n", "--append", "--replace")
    assert code == 0
    (line,) = (line for line in errors if "trained on" in line)
    assert "split train has other videos or labels than when these were trained" in line
    assert "checkpoint head" in line


def test_a_draw_of_a_stored_split_is_scored_over_classes_that_the_same_call_adds(scan, tmp_path):
    assert scan(TABLE)[0] == 0
    draws = ("--few-shot", "train", "--shots", "1")
    assert scan("5.mp4,c,other\n", "--append", *draws)[0] == 0
    store = open_store(tmp_path / "s.zarr")
    for name in ("train", "test", "other", "train_few_shot_1"):
        assert store.dataset("d").split(name).class_names == ["a", "b", "c"], name


def test_halves_of_one_fold_may_overlap_others_as_the_folds_do(scan, tmp_path):
    folds = "0.mp4,a,train1\n1.mp4,b,train1\n2.mp4,a,test1\n3.mp4,b,test1\n"
    folds += "2.mp4,a,train2\n3.mp4,b,train2\n0.mp4,a,test2\n1.mp4,b,test2\n"
    code, errors = scan(folds, "--halves", "train1", "test1")
    assert code == 0, errors
    assert any("train2 and test1 share 2 videos" in line for line in errors)
    # Of one fold it is refused.
    shutil.rmtree(tmp_path / "s.zarr")
    leak = "0.mp4,a,train1\n1.mp4,b,train1\n0.mp4,a,test1\n3.mp4,b,test1\n"
    code, errors = scan(leak, "--halves", "train1", "test1")
    assert code == 2
    assert "train1 and test1 share 1 videos" in errors[-1]


@pytest.mark.parametrize("flags", [("--shots", "3"), ("--seeds=1",), ("--nested", "--shots", "2")])
def test_draws_of_no_split_are_refused(scan, tmp_path, flags):
    code, errors = scan(TABLE, *flags)
    assert code == 2
    assert "nothing is drawn without --few-shot; name with it the training split" in errors[-1]
    assert not (tmp_path / "s.zarr").exists()
