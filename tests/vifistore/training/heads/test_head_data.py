"""Training reads frames of the split's videos, and refuses what cannot teach anything."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support import block_data, plain_recipe
from tests.vifistore.training.heads.conftest import CLASSES, NUM_VIDEOS, cached_frames
from vifistore.errors import DamagedError, IncompleteError, UsageError
from vifistore.store.schema import QUARANTINED
from vifistore.store.writer import FeatureWriter, Shape
from vifistore.training.heads.head_data import epoch_batches, read_head_data


@pytest.fixture(autouse=True)
def heard(monkeypatch):
    """The command line, where another test has called it, keeps the log to itself."""
    monkeypatch.setattr(logging.getLogger("vifi"), "propagate", True)


def write(store, frames, lost=()):
    """A sealed feature set of these frames, with quarantined rows `lost`."""
    shape = Shape(video=len(frames), view=2, frame=4, dim=64)
    writer = FeatureWriter(store.dataset("d"), plain_recipe("f" * 64, clips=2).as_dict(), shape, {})
    for block in writer.todo_blocks():
        rows = writer.todo_rows(block)
        data = block_data(frames[rows])
        data["status"][np.isin(rows, lost)] = QUARANTINED
        writer.write_block(block, rows, data)
    writer.seal()
    writer.release()
    return store.features("d", writer.id)


def test_frames_and_labels_of_a_split_in_its_order(store, caplog):
    split = store.dataset("d").split("train")
    split = replace(split, rows=split.rows[[70, 3, 5]], labels=split.labels[[70, 3, 5]])
    features = store.features("d", "base")
    data = read_head_data(features, split)
    np.testing.assert_array_equal(data.frames.numpy(), features.read("frames")[[70, 3, 5]])
    assert data.labels.tolist() == [70 % 3, 0, 2]
    assert "no video" not in caplog.text


def test_quarantined_videos_are_left_out_and_unseen_classes_are_said(store, caplog):
    lost = [row for row in range(NUM_VIDEOS) if row % 3 == 1]
    data = read_head_data(write(store, cached_frames(), lost), store.dataset("d").split("train"))
    assert len(data) == NUM_VIDEOS - len(lost)
    assert set(data.labels.tolist()) == {0, 2}
    assert f"{len(lost)} of {NUM_VIDEOS} videos are quarantined" in caplog.text
    assert "1 of 3 classes have no video to train on, for instance 'blue jump'" in caplog.text


def test_an_epoch_shows_every_video_once_in_one_of_its_views(store):
    data = read_head_data(store.features("d", "base"), store.dataset("d").split("train"))
    numbered = replace(
        data,
        frames=torch.arange(NUM_VIDEOS * 2.0).reshape(-1, 2, 1, 1).expand(-1, 2, 4, 64).half(),
    )
    batches = list(epoch_batches(numbered, 10, np.random.default_rng(0)))
    seen = torch.cat([frames[:, 0, 0] for frames, _ in batches]).int()
    labels = torch.cat([labels for _, labels in batches])
    assert sorted((seen // 2).tolist()) == list(range(NUM_VIDEOS))
    assert set((seen % 2).tolist()) == {0, 1}
    assert torch.equal(labels, (seen // 2) % len(CLASSES))
    assert [len(frames) for frames, _ in batches] == [10] * 7 + [2]


def test_what_cannot_teach_is_refused(store):
    split, base = store.dataset("d").split("train"), store.features("d", "base")
    for change, words in [
        ({"rows": split.rows[:0], "labels": split.labels[:0]}, "is empty"),
        ({"class_names": ["run"]}, "two or more"),
        ({"labels": split.labels - 1}, "no known class"),
        ({"class_names": CLASSES[:2]}, "no known class"),
    ]:
        with pytest.raises(UsageError, match=words):
            read_head_data(base, replace(split, **change))


@pytest.mark.parametrize("value", [np.nan, 0])
def test_damaged_frames_are_refused_with_their_row(store, value):
    frames = cached_frames()
    frames[66, 1, 2] = value
    with pytest.raises(DamagedError, match=r"first: row 66.*--repair"):
        read_head_data(write(store, frames), store.dataset("d").split("train"))


def test_a_split_of_quarantined_videos_is_refused(store):
    features = write(store, cached_frames(), range(NUM_VIDEOS))
    with pytest.raises(IncompleteError, match="--retry"):
        read_head_data(features, store.dataset("d").split("train"))
