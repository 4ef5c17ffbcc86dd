"""`vifi train-head`: one document, class names on demand, and one line for whatever is wrong."""

import json

import numpy as np
import pytest

from tests.support import plain_recipe, video_table, write_features
from vifistore.models.towers import load_model
from vifistore.store.dataset import write_videos
from vifistore.store.names import set_name
from vifistore.store.splits import Split, write_split
from vifistore.store.store import create_store

CLASSES = ["run", "jump"]
QUICK = ("--epochs", "2", "--layers", "1", "--batch-size", "4", "--warmup-epochs", "0")


@pytest.fixture(scope="module")
def tiny():
    return load_model("vifi-tiny", "none")


@pytest.fixture
def store(tmp_path, tiny, monkeypatch):
    """A store with a sealed set `base` of the tiny model; its folder is the current one."""
    monkeypatch.chdir(tmp_path)
    store = create_store(tmp_path / "s.zarr")
    write_videos(store.new_dataset("d"), video_table(8, CLASSES), CLASSES, "/nowhere")
    rows = np.arange(8)
    _split(store, "train", rows, CLASSES)
    _split(store, "novel", rows, ["walk", "fall"])
    digest = store.add_checkpoint(tiny.record())
    frames = np.random.default_rng(0).normal(size=(8, 1, 4, 64))
    writer = write_features(store, "d", plain_recipe(tiny.image_digest), frames)
    writer.seal()
    writer.release()
    set_name(store.dataset("d"), "base", writer.id, digest, force=False)
    return store


def _split(store, name, rows, class_names):
    labels = (rows % 2).astype(np.int32)
    made = {"source": "", "digest": "", "labels": labels, "class_names": class_names}
    write_split(store.dataset("d"), Split(name=name, rows=rows, **made))


def test_trained_applied_and_evaluated(said, store):
    wanted = ("train-head", store.path, "--dataset", "d", "--features", "base")
    code, text, error = said(*wanted, "--split", "train", "--head", "a5", *QUICK, "--json")
    document = json.loads(text)
    assert code == 0, error
    assert document["name"] == "base+a5"
    assert document["steps"] == 4
    assert "epoch 2 of 2: loss" in error
    # Texts for both lists of classes: novel ones are scored with the prompts, too.
    assert len(document["texts"]) == 2
    for split in ("train", "novel"):
        evaluate = ("evaluate", store.path, "zero-shot", "--dataset", "d", "--split", split)
        code, _, error = said(*evaluate, "--features", "base+a5")
        assert code == 0
        # The splits of this store all have the same videos.
        assert error == (
            f"base+a5 was tuned on 8 of the 8 videos of {split} (d/train): their scores say how "
            "well it learned them, and nothing of videos that it has not seen; score another split"
        )
    code, text, _ = said(*wanted, "--apply", document["head"], "--name", "again")
    assert code == 0
    assert text == f"again ({document['features']}): sealed; head in {document['head']}\n"


def test_class_names_that_come_later_are_encoded_with_the_prompts(said, store):
    wanted = ("train-head", store.path, "--dataset", "d", "--features", "base")
    said(*wanted, "--split", "train", "--head", "a5", *QUICK)
    _split(store, "later", np.arange(8), ["skip", "hop"])
    evaluate = ("evaluate", store.path, "zero-shot", "--dataset", "d", "--split", "later")
    before = {texts["id"] for texts in store.find_texts()}
    code, _, error = said(*evaluate, "--features", "base+a5")
    assert code == 0, error
    (new,) = [texts for texts in store.find_texts() if texts["id"] not in before]
    assert new["class_names"] == ["skip", "hop"]
    assert new["logit_scale"] == 1 / 0.07
    code, _, error = said(*evaluate, "--features", "base+a5", "--template", "a {}")
    assert code == 2
    assert error.splitlines()[-1].endswith("leave out --template")


def test_wrong_calls_are_one_line_with_the_remedy(said, store):
    wanted = ("train-head", store.path, "--dataset", "d", "--features", "base")
    a5 = ("--split", "train", "--head", "a5")
    for arguments, code, words in [
        ((*wanted, "--split", "train"), 2, "--head is missing"),
        ((*wanted, "--head", "a5"), 2, "--split is missing"),
        ((*wanted, *a5, "--name", "a/b"), 2, "'a/b'"),
        ((*wanted, *a5, "--layers", "65"), 2, "--layers is 65; give 64 or less"),
        ((*wanted, *a5, "--epochs", "0"), 2, "--epochs is 0; give above 0"),
        ((*wanted, *a5, "--epochs", "2", "--warmup-epochs", "2"), 2, "give less"),
        ((*wanted, *a5[:3], "actionclip-transf", "--prompts", "3"), 2, "--prompts has no meaning"),
        ((*wanted, *a5[:3], "actionclip-mean", "--epochs", "3"), 2, "--epochs has no meaning"),
        ((*wanted, *a5[:3], "b6"), 2, "see vifi train-head --help"),
        ((*wanted, *a5, "--apply", "x"), 2, "leave out head, split"),
        ((*wanted, "--apply", "x", "--epochs", "3"), 2, "leave out settings of training"),
        ((*wanted, "--apply", "x"), 1, "there is no head at x"),
        ((*wanted[:-1], "bse", *a5), 2, "Did you mean 'base'?"),
        ((*wanted, "--split", "tran", *a5[2:]), 2, "unknown split"),
        ((*wanted, *a5, "--device", "cuda:99"), 2, "--device"),
    ]:
        found, text, error = said(*arguments)
        assert (found, text) == (code, ""), (arguments, error)
        assert words in error.splitlines()[-1], error
        assert error.splitlines()[-1].startswith("vifi: ")


def test_derived_sets_have_no_frames_to_train_on(said, store):
    wanted = ("train-head", store.path, "--dataset", "d", "--features")
    rest = ("--split", "train", "--head", "actionclip-mean")
    assert said(*wanted, "base", *rest)[0] == 0
    code, _, error = said(*wanted, "base+actionclip-mean", *rest)
    assert code == 2
    assert "has no frames" in error


def test_a_head_that_is_gone_or_another_is_said(said, store):
    wanted = ("train-head", store.path, "--dataset", "d", "--features", "base")
    code, text, _ = said(*wanted, "--split", "train", "--head", "a5", *QUICK, "--json")
    path = store.path.parent / json.loads(text)["head"]
    said(*wanted, "--split", "train", "--head", "a5", *QUICK, "--seed", "1", "--name", "other")
    (other,) = [file for file in path.parent.iterdir() if file != path]
    _split(store, "later", np.arange(8), ["skip", "hop"])
    evaluate = ("evaluate", store.path, "zero-shot", "--dataset", "d", "--split", "later")
    path.write_bytes(other.read_bytes())
    code, _, error = said(*evaluate, "--features", "base+a5")
    assert code == 1
    assert "is not that of checkpoint" in error.splitlines()[-1]
    path.unlink()
    code, _, error = said(*evaluate, "--features", "base+a5")
    assert code == 1
    assert "there is no head at" in error.splitlines()[-1]
