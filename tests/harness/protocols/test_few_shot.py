from dataclasses import replace

import numpy as np
import pytest

from harness import probing
from harness.leaks import untrained_classes
from harness.probing import draw_shots
from harness.protocols.few_shot import FewShot, few_shot
from harness.protocols.supervised import supervised
from harness.scoring import load_videos
from harness.shots import videos_per_class
from vifistore.errors import UnknownNameError, UsageError
from vifistore.store.dataset import Dataset
from vifistore.store.identity import Identity, TunedOn


@pytest.fixture
def maker(make_store):
    """Videos 0-119 train (20 of each class), 120-179 test."""
    maker = make_store(num_videos=180)
    maker.features(maker.frames(num_views=2, noise=2.0))
    maker.texts(noise=2.0)
    maker.split("train1", np.arange(120))
    maker.split("val1", np.arange(120, 180))
    maker.split("train1_few_shot_4", np.arange(24))
    return maker


def test_text_classifier_scores_a_tuned_checkpoint(maker, value_of):
    rows = few_shot(
        maker.store.features("toy", "tiny"), "val1", FewShot(train_split="train1_few_shot_4")
    )
    top1 = value_of(rows, metric="top1")
    assert (top1.protocol, top1.classifier, top1.shots) == ("few-shot", "text", 4)
    assert top1.num_videos == 60
    # The checkpoint does not say so itself: the row tells that it was told.
    assert top1.provenance["shots_told"]
    maker.checkpoint("told", shots=4)
    maker.features(maker.frames(num_views=2, noise=2.0), checkpoint="told", shots=4)
    maker.texts("told", noise=2.0)
    for settings in (FewShot(shots=(4,)), FewShot(), FewShot(train_split="train1_few_shot_4")):
        again = value_of(
            few_shot(maker.store.features("toy", "tiny"), "val1", settings), metric="top1"
        )
        assert (again.value, again.shots) == (top1.value, 4)
        assert "shots_told" not in again.provenance


SAID = {
    "none": ({}, "was tuned on no video: class names give it no 4-shot score; score it by zero-"),
    "silent": ({"fusion": "image"}, "does not say on what it was tuned; name that split with --tr"),
    "other": ({"shots": 8}, "was tuned on 8 videos of each class and not on 4; give --shots 8, or"),
    "elsewhere": (
        {"trained_on": {"dataset": "k400", "split": "train"}},
        "was tuned on k400/train and not on toy: class names give it no 4-shot score",
    ),
    "uneven": (
        {"trained_on": {"dataset": "toy", "split": "uneven"}},
        "was tuned on 1 to 2 videos of each class: class names give it no 4-shot score",
    ),
    "half": (
        {"trained_on": {"dataset": "toy", "split": "base"}, "shots": 4},
        "was tuned on base, without 2 of these classes: class names give it no 4-shot score",
    ),
}


@pytest.mark.parametrize("case", SAID)
def test_what_was_not_tuned_on_so_many_videos_has_no_such_score(maker, case):
    settings, words = SAID[case]
    maker.split("uneven", [0, 1, 2, 3, 4, 5, 6])
    rows = np.arange(120)[maker.labels[:120] < 4]
    maker.split("base", rows, class_names=maker.class_names[:4])
    digest = maker.checkpoint(case)
    path = f"checkpoints/{digest}"
    attributes = maker.store.backend.attributes(path)
    maker.store.backend.make_group(path, {**attributes, "settings": settings})
    maker.features(maker.frames(num_views=2), checkpoint=case)
    maker.texts(case)
    with pytest.raises(UsageError, match=f"tiny {words}"):
        few_shot(maker.store.features("toy", "tiny"), "val1", FewShot(shots=(4,)))
    if case in ("none", "elsewhere"):
        with pytest.raises(UsageError, match="class names give it no such score; score it by"):
            supervised(maker.store.features("toy", "tiny"), "val1")
    else:
        assert supervised(maker.store.features("toy", "tiny"), "val1")
    prototypes = FewShot(classifier="prototype", train_split="train1", shots=(4,))
    assert few_shot(maker.store.features("toy", "tiny"), "val1", prototypes)


def test_where_the_trainings_split_is_here_its_videos_are_counted(maker, value_of):
    trained_on = {"dataset": "toy", "split": "train1_few_shot_4"}
    maker.features(maker.frames(num_views=2), checkpoint="head", trained_on=trained_on)
    maker.texts("head")
    rows = few_shot(maker.store.features("toy", "tiny"), "val1", FewShot())
    assert value_of(rows, metric="top1").shots == 4
    for settings in (
        FewShot(shots=(20,), train_split="train1"),
        FewShot(shots=(4,), train_split="train1"),
    ):
        with pytest.raises(UsageError, match="tiny was "):
            few_shot(maker.store.features("toy", "tiny"), "val1", settings)


def test_what_is_known_of_the_videos_wins_over_the_setting(maker, value_of):
    """A split of fewer videos than the preset's 16, and a training on all of them before."""
    maker.split("lacking", np.arange(24)[1:])

    def shots_of(*splits: str, shots: int) -> int:
        names = tuple(maker.class_names)
        parts = tuple(TunedOn(dataset="toy", split=s, class_names=names) for s in splits)
        name = "-".join([*splits, str(shots)])
        checkpoint = {"checkpoint": name, "identity": Identity(tuned_on=parts), "shots": shots}
        maker.features(maker.frames(num_views=2), name=name, **checkpoint)
        maker.texts(name)
        return value_of(
            few_shot(maker.store.features("toy", name), "val1", FewShot()), metric="top1"
        ).shots

    assert shots_of("train1_few_shot_4", shots=16) == 4
    assert shots_of("train1", "train1_few_shot_4", shots=4) == 20
    # A class that has fewer gives what it has.
    assert shots_of("lacking", shots=4) == 4
    with pytest.raises(UsageError, match="was tuned on 3 to 4 videos of each class"):
        shots_of("lacking", shots=16)
    # Of the training before nothing is known: its split is gone.
    with pytest.raises(UsageError, match="say how many videos per class"):
        shots_of("gone", "train1_few_shot_4", shots=4)


def test_classes_without_training_videos_are_left_out_and_counted(maker, value_of):
    few = np.arange(24)[maker.labels[:24] != 2]
    maker.split("five", few)
    for classifier in ("prototype", "linear-probe", "tip-adapter"):
        settings = FewShot(classifier=classifier, train_split="five", shots=(2, 4), draws=2)
        rows = few_shot(maker.store.features("toy", "tiny"), "val1", settings)
        row = value_of(rows, metric="top1", shots=2, seed=None)
        assert (row.classes, row.num_videos, row.listed) == (5, 50, 60)
    (line,) = untrained_classes(load_videos(maker.store.features("toy", "tiny"), "five"))
    assert line.startswith("1 of 6 classes have no video in five (class 2): what is trained on it")
    assert untrained_classes(load_videos(maker.store.features("toy", "tiny"), "train1")) == []
    # The same as if the class had never been.
    names = [name for number, name in enumerate(maker.class_names) if number != 2]
    val = np.arange(120, 180)
    for name, chosen in (("five_alone", few), ("val_alone", val[maker.labels[val] != 2])):
        labels = maker.labels[chosen]
        maker.split(name, chosen, labels - (labels > 2), names)
    alone = FewShot(classifier="tip-adapter", train_split="five_alone", shots=(2,), draws=2)
    other = few_shot(maker.store.features("toy", "tiny"), "val_alone", alone)
    assert value_of(other, metric="top1", seed=None).value == row.value
    maker.split("one", [2, 8])
    settings = FewShot(classifier="prototype", train_split="one")
    with pytest.raises(UsageError, match="one has videos of 'class 2' alone of 6 classes"):
        few_shot(maker.store.features("toy", "tiny"), "val1", settings)
    maker.split("rest", [120, 121])
    maker.split("far", [2, 3])
    settings = FewShot(classifier="prototype", train_split="far")
    with pytest.raises(UsageError, match=r"rest has no video of the 2 classes of far \(class 2, "):
        few_shot(maker.store.features("toy", "tiny"), "rest", settings)


@pytest.mark.parametrize("classifier", ["linear-probe", "prototype", "cache", "tip-adapter"])
def test_classifiers_learn_from_shots(maker, value_of, classifier):
    settings = FewShot(
        classifier=classifier,
        train_split="train1",
        shots=(1, 16),
        draws=2,
        fusions=("embedding", "decision"),
    )
    rows = few_shot(maker.store.features("toy", "tiny"), "val1", settings)
    chosen = {"metric": "top1", "fusion": "decision", "seed": None}
    few = value_of(rows, shots=1, **chosen).value
    many = value_of(rows, shots=16, **chosen)
    assert few < many.value
    assert many.value > 0.6
    assert (many.classifier, many.provenance["train_split"]) == (classifier, "train1")
    assert many.provenance["num_train_videos"] == 96
    assert (many.text_set == "") == (classifier != "tip-adapter")
    assert [row.seed for row in rows if row.metric == "top1" and row.fusion == "decision"] == [
        0,
        1,
        None,
        0,
        1,
        None,
    ]


def test_whole_training_split_without_shots(maker, value_of):
    settings = FewShot(classifier="prototype", train_split="train1_few_shot_4")
    row = value_of(few_shot(maker.store.features("toy", "tiny"), "val1", settings), metric="top1")
    assert (row.shots, row.seed) == (4, None)


def test_draws_are_seeded_nested_and_even(maker):
    train = load_videos(maker.store.features("toy", "tiny"), "train1")
    four, eight = draw_shots(train, 4, seed=1), draw_shots(train, 8, seed=1)
    assert np.bincount(train.labels[four]).tolist() == [4] * 6
    assert set(four) <= set(eight)
    np.testing.assert_array_equal(four, draw_shots(train, 4, seed=1))
    assert set(four) != set(draw_shots(train, 4, seed=2))
    with pytest.raises(UsageError, match="has 20 videos in train1, fewer than 21 shots"):
        draw_shots(train, 21, seed=0)


def test_training_videos_in_the_test_split_are_refused(maker):
    maker.split("leaky", np.arange(100, 160))
    for classifier in ("text", "prototype"):
        settings = FewShot(classifier=classifier, train_split="train1")
        with pytest.raises(UsageError, match="20 of 120 training videos of train1 are also in"):
            few_shot(maker.store.features("toy", "tiny"), "leaky", settings)


def test_wrong_use(maker):
    with pytest.raises(UnknownNameError, match=r"'linear-prob'\. Did you mean 'linear-probe'"):
        FewShot(classifier="linear-prob", train_split="train1")
    with pytest.raises(UsageError, match="needs training videos; give --train-split"):
        FewShot(classifier="prototype")
    with pytest.raises(UsageError, match="say how many videos per class"):
        few_shot(maker.store.features("toy", "tiny"), "val1", FewShot())
    settings = FewShot(classifier="prototype", train_split="train1", fusions=("image",))
    with pytest.raises(UsageError, match="fusion 'image' has not; use embedding or decision"):
        few_shot(maker.store.features("toy", "tiny"), "val1", settings)
    maker.split("uneven", [0, 1, 2, 3, 4, 5, 6])
    settings = FewShot(train_split="uneven")
    with pytest.raises(UsageError, match="uneven has 1 to 2 videos per class; give --shots K"):
        few_shot(maker.store.features("toy", "tiny"), "val1", settings)
    maker.split("others", [0, 1], [0, 1], ["run", "sit"])
    with pytest.raises(UsageError, match=r"others \(2 classes\).*name different classes"):
        few_shot(maker.store.features("toy", "tiny"), "val1", FewShot(train_split="others"))
    maker.split("lacking", [0, 1, 2, 3, 4, 10])
    settings = FewShot(classifier="prototype", train_split="lacking", shots=())
    with pytest.raises(UsageError, match="lacking has 1 to 2 videos per class"):
        few_shot(maker.store.features("toy", "tiny"), "val1", settings)


def test_memory_of_a_cache_is_bounded(maker, monkeypatch):
    settings = FewShot(classifier="tip-adapter", train_split="train1_few_shot_4")
    whole = few_shot(maker.store.features("toy", "tiny"), "val1", settings)
    steps, run = [], probing.run_slabs
    monkeypatch.setattr(
        probing, "run_slabs", lambda work, *sizes: (steps.append(sizes), run(work, *sizes))
    )
    # Two views a video, each compared with those of 24 training videos.
    monkeypatch.setattr(probing, "_SLAB_ELEMENTS", 7 * 2 * 48)
    assert (
        few_shot(maker.store.features("toy", "tiny"), "val1", settings)[0].value == whole[0].value
    )
    assert steps == [(60, 7)]


def test_parts_of_a_video_are_drawn_together(maker, monkeypatch):
    train = load_videos(maker.store.features("toy", "tiny"), "train1")
    whole = draw_shots(train, 2, seed=3)

    def videos_of(_: Dataset, rows):
        """Each video of a class is in two rows, six apart."""
        return rows % 6 + 12 * (rows // 12)

    monkeypatch.setattr(Dataset, "videos_of", videos_of)
    drawn = train.rows[draw_shots(train, 2, seed=3)]
    assert np.bincount(drawn % 6).tolist() == [4] * 6
    assert np.bincount(np.unique(videos_of(train.dataset, drawn)) % 6).tolist() == [2] * 6
    assert len(whole) == 12
    assert videos_per_class(replace(train, rows=drawn, labels=train.labels[drawn])) == 2
    with pytest.raises(UsageError, match="has 10 videos in train1, fewer than 11 shots"):
        draw_shots(train, 11, seed=0)
