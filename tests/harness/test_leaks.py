import numpy as np
import pytest

from harness.leaks import check_apart, copies_between, copies_within, warnings_of
from harness.probing import probe
from harness.protocols.few_shot import FewShot, few_shot
from harness.scoring import load_videos
from vifistore.errors import UsageError


@pytest.fixture
def maker(make_store):
    """60 videos; 0-29 train, 30-59 val. 31 is a copy of 1, 32 of 30, which has another label."""
    maker = make_store(num_videos=60)
    digests = [f"d{row}" for row in range(60)]
    digests[31], digests[32] = digests[1], digests[30]
    maker.features(maker.frames(), digests=digests)
    maker.texts()
    maker.split("train1", range(30))
    maker.split("val1", range(30, 60))
    maker.split("val2", [*range(24, 30), *range(40, 60)])
    return maker


def test_copies_by_content(maker):
    train, val = (
        load_videos(maker.store.features("toy", "tiny"), name) for name in ("train1", "val1")
    )
    assert copies_between(train, val).tolist() == [31]
    assert copies_within(val) == [[0, 2]]
    assert copies_within(train) == []
    check_apart(train, val)


def test_a_video_that_is_in_both_splits_is_no_copy(maker):
    train, val2 = (
        load_videos(maker.store.features("toy", "tiny"), name) for name in ("train1", "val2")
    )
    assert copies_between(train, val2).tolist() == []


def test_every_warning_in_its_words(maker):
    train, val = (
        load_videos(maker.store.features("toy", "tiny"), name) for name in ("train1", "val1")
    )
    assert warnings_of(train) == []
    assert warnings_of(val, train=train) == [
        "1 videos of val1 are in it more than once, under several ids (first: video30, video32): "
        "keep one of each",
        "1 videos of val1 have several labels (first: video30, video32 as class 0, class 2): "
        "correct the labels",
        "1 of 30 videos of val1 are copies of videos of train1, or overlap them (video31): take "
        "them out of one of the splits",
    ]
    val2 = load_videos(maker.store.features("toy", "tiny"), "val2")
    assert warnings_of(val2, training=["train1"]) == [
        "val2 shares videos with training splits (6 with train1): a checkpoint that was tuned on "
        "one of these is to be scored on another split"
    ]


def test_videos_without_a_digest_are_no_copies(make_store):
    maker = make_store(num_videos=60)
    maker.features(maker.frames(), digests=[""] * 60)
    assert copies_within(load_videos(maker.store.features("toy", "tiny"))) == []


def test_the_same_video_is_refused_and_a_copy_counted(maker):
    both = "6 of 30 training videos of train1 are also in val2"
    with pytest.raises(UsageError, match=both):
        few_shot(
            maker.store.features("toy", "tiny"), "val2", FewShot(train_split="train1", shots=(5,))
        )
    train, val2 = (
        load_videos(maker.store.features("toy", "tiny"), name) for name in ("train1", "val2")
    )
    with pytest.raises(UsageError, match=both):
        probe(train, val2, "embedding", "prototype", 100.0)
    settings = FewShot(train_split="train1", classifier="prototype", shots=(5,))
    row = few_shot(maker.store.features("toy", "tiny"), "val1", settings)[0]
    assert row.provenance["num_test_copies_in_train"] == 1


def test_all_videos_of_a_dataset_with_splits_are_no_test_split(maker):
    with pytest.raises(UsageError, match=r"toy has the splits train1, val1, val2; name the one"):
        few_shot(maker.store.features("toy", "tiny"), "", FewShot(shots=(5,)))


def test_a_classifier_trained_on_another_split_is_another_row(maker):
    maker.split("train2", np.arange(6, 24))
    rows = [
        few_shot(maker.store.features("toy", "tiny"), "val1", settings)[0]
        for name in ("train1", "train2")
        for settings in [FewShot(train_split=name, classifier="prototype", shots=(2,))]
    ]
    assert [row.train_split for row in rows] == ["train1", "train2"]
    assert rows[0].key != rows[1].key
    text = FewShot(train_split="train1", shots=(5,))
    assert few_shot(maker.store.features("toy", "tiny"), "val1", text)[0].train_split == ""
