import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, top_k_accuracy_score
from sklearn.metrics import confusion_matrix as sklearn_confusion_matrix

from harness.measuring import Scoring, measure
from harness.metrics import (
    calibration_error,
    confusion_matrix,
    confusion_pairs,
    harmonic_mean,
    label_ranks,
    per_class_table,
    reliability,
)

# Answers: video 0 -> 0 (right), 1 -> 1 (right), 2 -> 0 (wrong), 3 -> 2 (wrong).
SCORES = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6]])
LABELS = np.array([0, 1, 1, 0])


# The intervals have tests of their own.
QUICK = Scoring(folds=2)


def value_of(metric, scores, labels):
    """What the product computes for a result row."""
    return measure(scores, labels, QUICK)[metric].value


def random_case(seed, num_videos=60, num_classes=7):
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.arange(num_videos) % num_classes)
    scores = generator.random((num_videos, num_classes))
    scores[np.arange(num_videos), labels] += 0.3
    return scores / scores.sum(axis=1, keepdims=True), labels


def test_ranks_and_accuracies_by_hand():
    # Video 3: its class 0 ties with class 1 behind class 2; the lower index counts first: rank 1.
    assert label_ranks(SCORES, LABELS).tolist() == [0, 0, 1, 1]
    assert value_of("top1", SCORES, LABELS) == 0.5
    # Class 0: 1 of 2 right; class 1: 1 of 2; class 2 has no video.
    assert value_of("mean_per_class", SCORES, LABELS) == 0.5
    # Class 0: 1 of 1, class 1: 1 of 3 -> mean 2/3, although 2 of 4 are right.
    assert value_of("mean_per_class", SCORES, np.array([0, 1, 1, 1])) == pytest.approx(2 / 3)


@pytest.mark.parametrize(("rank", "expected"), [(3, 1.0), (4, 1.0), (5, 0.0), (6, 0.0)])
def test_five_are_among_the_five_best(rank, expected):
    """The right class has so many better ones."""
    scores = np.arange(7.0)[::-1][None]
    assert value_of("top5", scores, np.array([rank])) == expected


def test_no_top5_where_every_answer_is_in_it():
    generator = np.random.default_rng(0)
    labels = np.arange(6) % 5
    assert "top5" not in measure(generator.random((6, 5)), labels, QUICK)
    assert "top5" in measure(generator.random((6, 6)), labels, QUICK)


def test_ties_go_to_the_lowest_class_as_argmax_does():
    scores = np.ones((3, 4))
    labels = np.array([0, 1, 3])
    assert label_ranks(scores, labels).tolist() == [0, 1, 3]
    assert value_of("top1", scores, labels) == (scores.argmax(axis=1) == labels).mean()


@pytest.mark.parametrize(
    ("base", "novel", "expected"),
    [(0.764, 0.611, 0.679), (0.738, 0.533, 0.619), (0.929, 0.677, 0.783), (0, 0, 0), (1, 0, 0)],
)
def test_harmonic_mean_gives_the_papers_table(base, novel, expected):
    assert harmonic_mean(base, novel) == pytest.approx(expected, abs=6e-4)


def test_calibration_error_by_hand():
    # Two bins (0, .5] and (.5, 1]. Confidences .7 right, .6 right, .5 wrong, .6 wrong.
    # Bin 1: .5 wrong -> |0 - .5| x 1/4. Bin 2: accuracy 2/3, confidence 1.9/3 -> |.1/3| x 3/4.
    expected = 0.25 * 0.5 + 0.75 * (2 / 3 - 1.9 / 3)
    assert calibration_error(SCORES, LABELS, bins=2) == pytest.approx(expected)
    # Sums over two views mean the same as their average.
    assert calibration_error(2 * SCORES, LABELS, bins=2) == pytest.approx(expected)


def test_sure_and_right_is_calibrated_sure_and_wrong_is_not():
    certain = np.eye(4)
    assert calibration_error(certain, np.arange(4)) == 0
    assert calibration_error(certain, np.array([1, 2, 3, 0])) == 1


def test_per_class_table_and_pairs_by_hand():
    table = per_class_table(SCORES, LABELS, ["run", "sit", "jump"])
    assert table["num_videos"].tolist() == [2, 2, 0]
    assert table["recall"].tolist()[:2] == [0.5, 0.5]
    # "run" was answered twice, once rightly; "jump" once, wrongly.
    assert table["precision"].tolist() == [0.5, 1.0, 0.0]
    assert math.isnan(table["recall"][2])
    assert table["most_confused_with"].tolist() == ["jump", "run", ""]
    pairs = confusion_pairs(SCORES, LABELS, ["run", "sit", "jump"])
    found = [tuple(row) for row in pairs.itertuples(index=False)]
    assert found == [("run", "jump", 1, 2, 0.5), ("sit", "run", 1, 2, 0.5)]
    assert len(confusion_pairs(SCORES, LABELS, ["run", "sit", "jump"], limit=1)) == 1
    assert confusion_pairs(np.eye(3), np.arange(3), ["run", "sit", "jump"]).empty


@pytest.mark.parametrize("seed", range(5))
def test_equal_to_scikit_learn(seed):
    scores, labels = random_case(seed)
    answers = scores.argmax(axis=1)
    found = measure(scores, labels, QUICK)
    for k in (1, 5):
        expected = top_k_accuracy_score(labels, scores, k=k)
        assert found[f"top{k}"].value == pytest.approx(expected)
    expected = balanced_accuracy_score(labels, answers)
    assert found["mean_per_class"].value == pytest.approx(expected)
    expected = sklearn_confusion_matrix(labels, answers, labels=range(7))
    np.testing.assert_array_equal(confusion_matrix(scores, labels), expected)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_of_videos_and_of_classes_does_not_matter(seed):
    scores, labels = random_case(seed)
    generator = np.random.default_rng(seed)
    videos, classes = generator.permutation(60), generator.permutation(7)
    renamed = np.argsort(classes)[labels]
    found = measure(scores, labels, QUICK)
    of_videos = measure(scores[videos], labels[videos], QUICK)
    of_classes = measure(scores[:, classes], renamed, QUICK)
    for metric, interval in found.items():
        assert of_videos[metric].value == pytest.approx(interval.value)
        assert of_classes[metric].value == pytest.approx(interval.value)
    assert found["top1"].value <= found["top5"].value


def test_a_reliability_diagram_says_how_often_the_sure_are_right():
    probabilities = np.array([[0.95, 0.05], [0.97, 0.03], [0.6, 0.4], [0.45, 0.55]])
    labels = np.array([0, 1, 0, 0])
    found = reliability(2 * probabilities, labels, bins=10)
    assert found.counts.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 0, 2]
    assert found.confidence[[5, 9]] == pytest.approx([0.575, 0.96])
    assert found.accuracy[[5, 9]] == pytest.approx([0.5, 0.5])
    expected = 0.5 * 0.075 + 0.5 * 0.46
    assert calibration_error(probabilities, labels, bins=10) == pytest.approx(expected)
    halved = reliability(probabilities, labels, bins=10, num_summed=2)
    assert halved.counts[[2, 4]].tolist() == [2, 2]
