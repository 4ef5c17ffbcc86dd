"""Two scans of one dataset: its splits are scored over all of its classes."""

import numpy as np
import pytest

from harness.measuring import Scoring
from harness.protocols.zero_shot import zero_shot
from tests.support import plain_recipe, write_features
from vifi.__main__ import run
from vifistore.store import open_store
from vifistore.store.names import set_name

CLASSES = ["circle", "cross", "square", "triangle"]


@pytest.fixture
def scan(tmp_path, capsys):
    """Make empty videos and scan their folder as a split; returns code and error lines."""

    def call(split, *names, flags=(), dataset="d"):
        for name in names:
            path = tmp_path / dataset / split / name / f"{split}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        words = ["scan", tmp_path / "s.zarr", tmp_path / dataset / split, "--dataset", dataset]
        words += ["--split", split, "--root", tmp_path / dataset, "--append", *flags]
        code = run([str(word) for word in words])
        return code, capsys.readouterr().err.strip().splitlines()

    return call


def top1(store, split):
    """Zero-shot top-1 where every video looks like its class, but the cross like a circle."""
    labels = [CLASSES.index(label) for label in store.videos("d")["label"]]
    frames = np.eye(4, dtype=np.float32)[labels][:, None, None]
    frames[np.array(labels) == 1] = [1.0, 0.9, 0, 0]
    writer = write_features(store, "d", plain_recipe("image", frames=1), frames)
    writer.seal()
    checkpoint = {"model": "tiny", "config": {}, "weights_path": "", "parent": "", "step": 0}
    checkpoint |= {"name": "tiny", "image_digest": "image", "text_digest": "text"}
    checkpoint |= {"logit_scale": 20.0, "settings": {"fusion": "embedding"}}
    digest = store.add_checkpoint(checkpoint)
    set_name(store.dataset("d"), "f", writer.id, digest, force=False)
    names = store.dataset("d").split(split).class_names
    fields = {"text_digest": "text", "logit_scale": 20.0, "class_names": names}
    fields |= {"templates": ["{}"], "context_length": 12, "precision": "fp32"}
    store.add_texts(fields, np.eye(4)[[CLASSES.index(name) for name in names]][:, None])
    (row,) = [
        row
        for row in zero_shot(store.features("d", "f"), (split,), Scoring())
        if row.metric == "top1"
    ]
    return row.value, row.classes


def test_a_split_that_lacks_a_class_is_scored_over_all(scan, tmp_path):
    assert scan("train", *CLASSES)[0] == 0
    code, told = scan("val", *CLASSES[1:])
    assert code == 0
    assert any("split val: 1 of 4 classes have no video (circle)" in line for line in told)
    store = open_store(tmp_path / "s.zarr", mode="a")
    # Over its own three classes the cross would be right, too.
    assert top1(store, "val") == (pytest.approx(2 / 3), 4)


def test_new_classes_widen_the_splits_that_are_there(scan, tmp_path):
    assert scan("val", *CLASSES[1:])[0] == 0
    assert scan("train", *CLASSES)[0] == 0
    store = open_store(tmp_path / "s.zarr")
    assert store.dataset("d").class_names() == ["cross", "square", "triangle", "circle"]
    for split in ("train", "val"):
        assert store.dataset("d").split(split).class_names == store.dataset("d").class_names()
    assert store.dataset("d").split("val").labels.tolist() == [0, 1, 2]
    assert store.dataset("d").split("train").labels.tolist() == [3, 0, 1, 2]
    # The same scans change nothing.
    assert scan("val", *CLASSES[1:])[0] == 0
    assert store.dataset("d").split("val").labels.tolist() == [0, 1, 2]


def test_lists_of_their_own_stay_and_are_told(scan, tmp_path):
    (tmp_path / "base.csv").write_text("id,name\n0,cross\n1,square\n")
    assert scan("base", "cross", "square", flags=["--labels", str(tmp_path / "base.csv")])[0] == 0
    _, told = scan("all", *CLASSES)
    assert "splits have lists of classes of their own: all 4, base 2" in told
    store = open_store(tmp_path / "s.zarr")
    assert store.dataset("d").split("base").class_names == ["cross", "square"]


def test_a_split_of_an_older_scan_is_united_by_scanning_again(scan, tmp_path):
    assert scan("val", *CLASSES[1:])[0] == 0
    store = open_store(tmp_path / "s.zarr", mode="a")
    attributes = store.backend.attributes("splits/d/val")
    store.backend.make_group(
        "splits/d/val", {k: v for k, v in attributes.items() if k != "owns_classes"}
    )
    _, told = scan("train", *CLASSES)
    assert "splits have lists of classes of their own: train 4, val 3" in told
    assert len(store.dataset("d").split("val").class_names) == 3
    assert scan("val", *CLASSES[1:])[0] == 0
    assert store.dataset("d").split("val").class_names == store.dataset("d").class_names()


def test_another_spelling_is_the_class_of_the_dataset(scan, tmp_path):
    assert scan("train", "brush hair", "wave")[0] == 0
    _, told = scan("val", "brush_hair")
    assert "1 classes are spelled as the dataset has them ('brush_hair' as 'brush hair')" in told
    store = open_store(tmp_path / "s.zarr")
    assert store.dataset("d").class_names() == ["brush hair", "wave"]
    assert list(store.videos("d")["label"]) == ["brush hair", "wave", "brush hair"]


def test_pointers_in_the_place_of_videos_are_told(scan, tmp_path):
    path = tmp_path / "d" / "all" / "run" / "x.mp4"
    path.parent.mkdir(parents=True)
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n")
    code, told = scan("all", "hop")
    assert code == 0
    assert any(
        "1 of 2 videos were not fetched (all/run/x.mp4): it is a Git LFS pointer" in line
        and "`git lfs pull`" in line
        for line in told
    )
