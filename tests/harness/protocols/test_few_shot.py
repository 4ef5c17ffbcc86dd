import numpy as np
import pytest

from harness import probing
from harness.probing import draw_shots
from harness.protocols.few_shot import FewShot, few_shot
from harness.scoring import load_videos
from vifistore.errors import UnknownNameError, UsageError


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
    rows = few_shot(maker.store, "toy", "tiny", "val1", FewShot(train_split="train1_few_shot_4"))
    top1 = value_of(rows, metric="top1")
    assert (top1.protocol, top1.classifier, top1.shots) == ("few-shot", "text", 4)
    assert top1.num_videos == 60
    again = few_shot(maker.store, "toy", "tiny", "val1", FewShot(shots=(4,)))
    assert value_of(again, metric="top1").value == top1.value


@pytest.mark.parametrize("classifier", ["linear-probe", "prototype", "cache", "tip-adapter"])
def test_classifiers_learn_from_shots(maker, value_of, classifier):
    settings = FewShot(
        classifier=classifier,
        train_split="train1",
        shots=(1, 16),
        draws=2,
        fusions=("embedding", "decision"),
    )
    rows = few_shot(maker.store, "toy", "tiny", "val1", settings)
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
    row = value_of(few_shot(maker.store, "toy", "tiny", "val1", settings), metric="top1")
    assert (row.shots, row.seed) == (4, None)


def test_draws_are_seeded_nested_and_even(maker):
    train = load_videos(maker.store, "toy", "tiny", "train1")
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
            few_shot(maker.store, "toy", "tiny", "leaky", settings)


def test_wrong_use(maker):
    with pytest.raises(UnknownNameError, match=r"'linear-prob'\. Did you mean 'linear-probe'"):
        FewShot(classifier="linear-prob", train_split="train1")
    with pytest.raises(UsageError, match="needs training videos; give --train-split"):
        FewShot(classifier="prototype")
    with pytest.raises(UsageError, match="say how many videos per class"):
        few_shot(maker.store, "toy", "tiny", "val1", FewShot())
    settings = FewShot(classifier="prototype", train_split="train1", fusions=("image",))
    with pytest.raises(UsageError, match="fusion 'image' has not; use embedding or decision"):
        few_shot(maker.store, "toy", "tiny", "val1", settings)
    maker.split("uneven", [0, 1, 2, 3, 4, 5, 6])
    settings = FewShot(train_split="uneven")
    with pytest.raises(UsageError, match="uneven has 1 to 2 videos per class; give --shots K"):
        few_shot(maker.store, "toy", "tiny", "val1", settings)
    maker.split("others", [0, 1], [0, 1], ["run", "sit"])
    with pytest.raises(UsageError, match=r"others \(2 classes\).*name different classes"):
        few_shot(maker.store, "toy", "tiny", "val1", FewShot(train_split="others"))
    maker.split("lacking", [0, 1, 2, 3, 4])
    settings = FewShot(classifier="prototype", train_split="lacking", shots=())
    with pytest.raises(UsageError, match="lacking has 0 to 1 videos per class"):
        few_shot(maker.store, "toy", "tiny", "val1", settings)


def test_memory_of_a_cache_is_bounded(maker, monkeypatch):
    settings = FewShot(classifier="tip-adapter", train_split="train1_few_shot_4")
    whole = few_shot(maker.store, "toy", "tiny", "val1", settings)
    steps, run = [], probing.run_slabs
    monkeypatch.setattr(
        probing, "run_slabs", lambda work, *sizes: (steps.append(sizes), run(work, *sizes))
    )
    # Two views a video, each compared with those of 24 training videos.
    monkeypatch.setattr(probing, "_SLAB_ELEMENTS", 7 * 2 * 48)
    assert few_shot(maker.store, "toy", "tiny", "val1", settings)[0].value == whole[0].value
    assert steps == [(60, 7)]
