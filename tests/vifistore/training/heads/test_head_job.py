"""A head is trained on the cache, pools a dataset, and its feature set is scored as any other."""

import numpy as np
import pytest
import torch

from harness.protocols.zero_shot import zero_shot
from harness.scoring import checkpoint_of
from tests.support import block_data, plain_recipe
from tests.vifistore.training.heads.conftest import (
    CLASSES,
    DIM,
    LEARN,
    NUM_VIDEOS,
    add_features,
    cached_frames,
)
from vifistore.errors import ModelError, UsageError
from vifistore.store import open_store
from vifistore.store.identity import TunedOn, packed
from vifistore.store.names import set_name
from vifistore.store.splits import Split, write_split
from vifistore.store.verifying.verify import verify_store
from vifistore.store.writer import FeatureWriter, Shape
from vifistore.training.heads import head_texts
from vifistore.training.heads.head_files import load_head
from vifistore.training.heads.head_job import apply_head, train_head
from vifistore.training.heads.head_settings import HeadSettings


def train(store, kind, **changes):
    """Train on split `train` of `d`; returns the report and the epochs."""
    learn = {} if kind == "actionclip-mean" else {**LEARN, "warmup_epochs": 1.0, "layers": 1}
    features = store.features("d", "base")
    epochs = []
    report = train_head(
        features,
        checkpoint_of(features),
        "train",
        kind,
        HeadSettings(**learn | changes),
        device="cpu",
        after_epoch=epochs.append,
    )
    return report, epochs


def top1(store, name):
    rows = zero_shot(store.features("d", name), ["train"])
    (row,) = [row for row in rows if row.metric == "top1"]
    return row


def classes_apart(loaded, class_names, templates):
    """Texts as trained towers make them: random ones tell templates apart better than classes."""
    rng = np.random.default_rng(0)
    of_class = rng.normal(size=(len(class_names), 1, DIM))
    of_template = 0.2 * rng.normal(size=(1, len(templates), DIM))
    return (of_class + of_template).astype(np.float32)


@pytest.mark.parametrize("kind", ["a5", "actionclip-transf"])
def test_it_learns_what_the_mean_cannot_tell_and_is_scored_by_name(store, kind, monkeypatch):
    """The classes differ in the order of frames alone, which no mean over frames can tell."""
    monkeypatch.setattr(head_texts, "encode_classes", classes_apart)
    report, epochs = train(store, kind)
    assert report.name == f"base+{kind}"
    assert report.steps == LEARN["epochs"] * 3
    assert [p.epoch for p in epochs] == list(range(1, LEARN["epochs"] + 1))
    assert epochs[-1].loss < 0.5 * epochs[0].loss
    assert (report.loss, report.accuracy) == (epochs[-1].loss, epochs[-1].accuracy)
    row = top1(store, report.name)
    assert row.value > 0.7
    assert (row.num_frames, row.num_views, row.num_videos) == (4, 2, NUM_VIDEOS)
    assert row.text_set in report.texts
    assert row.scored_checkpoint == f"random+{kind}"
    assert store.features("d", report.name).sealed


@pytest.mark.parametrize("kind", ["a5", "a6", "actionclip-transf", "actionclip-mean"])
def test_it_says_what_it_was_trained_with_and_on(store, kind, monkeypatch):
    monkeypatch.setattr(head_texts, "encode_classes", classes_apart)
    report, _ = train(store, kind, **({} if kind == "actionclip-mean" else {"epochs": 2}))
    identity = store.identity(report.checkpoint)
    digests = store.features("d", "base").read("content_digest")
    own = TunedOn(dataset="d", split="train", class_names=tuple(CLASSES), videos=packed(digests))
    # The mean learns nothing.
    assert identity.tuned_on == (() if kind == "actionclip-mean" else (own,))
    assert len(identity.templates) == (1 if kind in ("a5", "a6") else 16)
    assert identity.sampling == {"rule": "segment-centre", "frames": 4}
    assert identity.preprocessing["family"] == "openclip"
    row = top1(store, report.name)
    assert row.protocol == ("zero-shot" if kind == "actionclip-mean" else "tuned")
    assert "not_as_trained" not in row.provenance


def test_what_the_store_holds_is_what_the_file_gives(store):
    report, _ = train(store, "a5")
    features, head = store.features("d", report.name), load_head(store.path.parent / report.head)
    assert features.frames is None
    assert features.recipe == {"parent": store.features("d", "base").id, "head": head.digest}
    stored = store.features("d", "base").read("frames").astype(np.float32)
    pooled = head.pooling.eval()(torch.from_numpy(stored)).numpy()
    np.testing.assert_allclose(features.read("view_mean"), pooled, atol=1e-5, rtol=1e-5)
    checkpoint = store.checkpoint(report.checkpoint)
    assert checkpoint["parent"] == checkpoint_of(store.features("d", "base"))["digest"]
    assert checkpoint["settings"]["trained_on"]["videos"] == NUM_VIDEOS
    assert (checkpoint["step"], checkpoint["logit_scale"]) == (report.steps, 1 / 0.07)


def refused_names(store):
    """Names that verify finds to be a checkpoint's of other towers."""
    problems = verify_store(open_store(store.path))
    return [problem.where for problem in problems if "another image tower" in problem.what]


def test_verify_knows_the_checkpoint_of_a_head(store, tiny):
    report, _ = train(store, "actionclip-transf", epochs=2)
    assert refused_names(store) == []
    base, derived = store.features("d", "base"), store.features("d", report.name)
    dataset = store.dataset("d")
    # The parent's texts may score what was pooled, but a head's do not go with the parent's frames.
    set_name(dataset, "plain", derived.id, base.checkpoint, force=False)
    assert refused_names(store) == []
    set_name(dataset, "wrong", base.id, derived.checkpoint, force=False)
    other = store.add_checkpoint({**tiny.record(), "name": "other", "image_digest": "0" * 64})
    set_name(dataset, "other", derived.id, other, force=False)
    assert refused_names(store) == ["names/d/other", "names/d/wrong"]


def test_the_mean_head_is_the_parents_mean(store):
    report, epochs = train(store, "actionclip-mean")
    assert (report.steps, report.loss, epochs) == (0, None, [])
    pooled = store.features("d", report.name).read("view_mean")
    np.testing.assert_allclose(pooled, store.features("d", "base").read("view_mean"), atol=1e-5)
    (text_set,) = report.texts
    assert store.texts(text_set).embeddings.shape == (len(CLASSES), 16, 64)


def test_the_same_twice(store):
    first, _ = train(store, "a5", epochs=2)
    again, _ = train(store, "a5", epochs=2)
    assert again == first


@pytest.mark.parametrize(
    ("name", "words"),
    [("base+a5", "give another --name"), ("base", "give another --name"), ("a/b", "'a/b'")],
)
def test_a_name_that_cannot_be_given_is_refused_before_training(store, name, words):
    train(store, "a5", epochs=2)
    features = store.features("d", "base")
    files = sorted(store.path.parent.rglob("*"))
    with pytest.raises(UsageError, match=words):
        train_head(
            features,
            checkpoint_of(features),
            "train",
            "a5",
            HeadSettings(epochs=2, seed=1),
            name=name,
            device="cpu",
            after_epoch=lambda _: pytest.fail("it was trained"),
        )
    assert sorted(store.path.parent.rglob("*")) == files


def test_a_head_pools_another_dataset_of_the_same_checkpoint(store, tiny):
    report, _ = train(store, "actionclip-transf")
    add_features(store, "other", tiny, "base", seed=7)
    features = store.features("other", "base")
    path = store.path.parent / report.head
    applied = apply_head(features, checkpoint_of(features), path, device="cpu")
    assert (applied.steps, applied.checkpoint) == (0, report.checkpoint)
    assert store.features("other", applied.name).sealed


def test_a_head_for_other_towers_or_frames_is_refused(store, tiny):
    report, _ = train(store, "actionclip-transf", epochs=2)
    path, base = store.path.parent / report.head, store.features("d", "base")
    checkpoint = checkpoint_of(base)
    for tower in ("image_digest", "text_digest"):
        with pytest.raises(UsageError, match="was trained on"):
            apply_head(base, {**checkpoint, tower: "0" * 64}, path)
    recipe = plain_recipe(tiny.image_digest, frames=1, clips=1).as_dict()
    writer = FeatureWriter(store.dataset("d"), recipe, Shape(video=72, view=1, frame=1, dim=64), {})
    _finish(writer, cached_frames()[:, :1, :1])
    set_name(store.dataset("d"), "short", writer.id, checkpoint["digest"], force=False)
    with pytest.raises(UsageError, match="--frames 4"):
        apply_head(store.features("d", "short"), checkpoint, path)


def _finish(writer, frames):
    for block in writer.todo_blocks():
        rows = writer.todo_rows(block)
        writer.write_block(block, rows, block_data(frames[rows]))
    writer.seal()
    writer.release()


def test_a_loss_that_is_no_number_ends_it(store):
    with pytest.raises(ModelError, match="--learning-rate"):
        train(store, "a5", learning_rate=1e30)


def one_class(name, class_name):
    """A split of two videos."""
    labels = np.zeros(2, np.int32)
    return Split(
        name=name, rows=np.arange(2), labels=labels, class_names=[class_name], source="", digest=""
    )


def test_prompts_leave_room_for_the_names_of_other_splits(store):
    longest = "a b c d e f g h i j k"
    write_split(store.dataset("d"), one_class("novel", longest))
    report, _ = train(store, "a5", epochs=2)
    assert len(report.texts) == 2
    head = load_head(store.path.parent / report.head)
    # Sixteen places: start, eleven letters, end, and one vector on each side.
    assert head.header.prompts.num_each_side == 1


def test_a_name_too_long_for_the_prompts_leaves_no_feature_set(store, tiny):
    report, _ = train(store, "a5", epochs=2)
    add_features(store, "other", tiny, "base", seed=7)
    write_split(store.dataset("other"), one_class("long", "a b c d e f g h i"))
    features = store.features("other", "base")
    path = store.path.parent / report.head
    with pytest.raises(UsageError, match="do not fit the context of 16 tokens"):
        apply_head(features, checkpoint_of(features), path, device="cpu")
    assert store.dataset("other").feature_ids() == [features.id]


def test_a_file_of_another_head_is_kept(store, tmp_path):
    features = store.features("d", "base")
    path = tmp_path / "head.safetensors"

    def run(seed, name):
        return train_head(
            features,
            checkpoint_of(features),
            "train",
            "a5",
            HeadSettings(epochs=1, layers=1, seed=seed),
            name=name,
            out=path,
            device="cpu",
            after_epoch=lambda _: None,
        )

    first = run(0, "first")
    assert run(0, "first") == first
    whole = path.read_bytes()
    with pytest.raises(UsageError, match="holds another head; give another --out, or remove it"):
        run(1, "second")
    assert path.read_bytes() == whole
    path.write_text("notes")
    with pytest.raises(UsageError, match="is there and is no head; give another --out"):
        run(1, "second")
    assert path.read_text() == "notes"


def test_a_folder_that_cannot_be_made_is_told_before_training(store, tmp_path):
    (tmp_path / "file").write_text("")
    features = store.features("d", "base")
    with pytest.raises(OSError, match="file"):
        train_head(
            features,
            checkpoint_of(features),
            "train",
            "a5",
            HeadSettings(epochs=1, layers=1),
            out=tmp_path / "file" / "head.safetensors",
            device="cpu",
            after_epoch=lambda _: pytest.fail("it was trained"),
        )


def test_a_taken_name_for_a_head_that_is_applied_changes_nothing(store, tiny):
    report, _ = train(store, "a5", epochs=2)
    add_features(store, "other", tiny, "base", seed=7)
    features = store.features("other", "base")
    checkpoint = checkpoint_of(features)
    write_split(store.dataset("other"), one_class("novel", "skip"))
    path = store.path.parent / report.head
    files = sorted(store.path.rglob("*"))
    with pytest.raises(UsageError, match="'base' of other already stands for"):
        apply_head(features, checkpoint, path, name="base", device="cpu")
    assert sorted(store.path.rglob("*")) == files
