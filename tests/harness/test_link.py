"""Sigmoid probabilities, with a scale and a bias, against a plain restatement in float64."""

import numpy as np
import pytest

from harness.classifiers import CACHE_ALPHA, CACHE_BETA, Task, prototypes, tip_adapter
from harness.fusion import FUSIONS, class_vectors, fuse_frames, unit
from harness.link import Link, link_of
from harness.measuring import PROBABILITIES, Scoring
from harness.metrics import calibration_error, is_right
from harness.protocols.zero_shot import zero_shot
from harness.scoring import load_classes, load_videos, score
from harness.softmax import softmax

# As released: SigLIP's scale is above 100, its bias below -10.
SIGLIP = Link(112.5, -16.5)
QUICK = {"folds": 20}


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def normalised(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def restated(fusion, frames, classes, link):
    """Every fusion again; the sum over views of probabilities that see no other class."""
    x, t = frames.astype(np.float64), classes.astype(np.float64)
    z = normalised(x) @ t.T
    weights = np.exp(z / 0.1)
    cosines = {
        "embedding": normalised(x.mean(axis=2)) @ t.T,
        "decision": z.mean(axis=2),
        "max": z.max(axis=2),
        "top-4": np.sort(z, axis=2)[:, :, -4:].mean(axis=2),
        "attention": (weights * z).sum(axis=2) / weights.sum(axis=2),
    }
    if fusion == "image":
        return sigmoid(link.scale * z + link.bias).mean(axis=2).sum(axis=1)
    return sigmoid(link.scale * cosines[fusion] + link.bias).sum(axis=1)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("link", [Link(4.0, -1.5), SIGLIP])
def test_every_fusion_by_a_sigmoid(fusion, link):
    generator = np.random.default_rng(0)
    frames = generator.normal(size=(6, 3, 5, 16)).astype(np.float16)
    classes = unit(generator.normal(size=(7, 16)))
    found = fuse_frames([fusion], frames, classes, link)[fusion]
    np.testing.assert_allclose(found, restated(fusion, frames, classes, link), rtol=2e-3, atol=1e-6)
    assert found.dtype == np.float32


def test_far_logits_neither_overflow_nor_leave_the_interval():
    found = Link(1.0, 0.0).probabilities(np.array([-1e4, -80, 0, 80, 1e4], np.float32))
    np.testing.assert_allclose(found, [0, np.exp(-80), 0.5, 1, 1], rtol=1e-5)


def test_a_record_without_a_bias_is_a_softmax():
    assert link_of({"logit_scale": 20}) == Link(20.0)
    assert link_of({"logit_scale": 20.0, "logit_bias": 0.0}) == Link(20.0, 0.0)
    assert link_of({"logit_scale": 20.0, "logit_bias": 0.0}).is_sigmoid
    cosines = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    np.testing.assert_array_equal(
        Link(20.0).probabilities(cosines), softmax(cosines * np.float32(20))
    )


def test_the_cache_adds_to_logits_and_prototypes_know_no_bias():
    vectors = np.array([[1, 0], [0, 1]], np.float32)
    query, labels = np.array([[[0.6, 0.8]]], np.float32), np.array([0, 1])
    task = Task(num_classes=2, link=Link(2.0, -3.0), class_vectors=vectors[::-1])
    votes = CACHE_ALPHA * np.exp(-CACHE_BETA * (1 - np.array([0.6, 0.8])))
    expected = sigmoid(2 * np.array([0.8, 0.6]) - 3 + votes)
    np.testing.assert_allclose(tip_adapter(vectors, labels, task)(query)[0, 0], expected, rtol=1e-5)
    found = prototypes(vectors, labels, task)(query)[0, 0]
    np.testing.assert_allclose(found, softmax(np.array([1.2, 1.6])), rtol=1e-5)


def test_the_confidence_is_the_mean_over_views():
    summed, labels = np.array([[0.3, 0.1], [0.2, 0.9], [0.6, 0.1]]), np.array([0, 1, 1])
    confidence = summed.max(axis=1) / 2
    found = calibration_error(summed, labels, num_summed=2)
    # All in bins of their own.
    assert found == pytest.approx(np.abs(is_right(summed, labels) - confidence).mean())


@pytest.fixture
def maker(make_store):
    """Features of two views, their texts once with a bias and once without."""
    maker = make_store(num_videos=40)
    maker.features(maker.frames(num_views=2), bias=-6.0, fusion=None)
    maker.texts()
    maker.texts(bias=-6.0)
    return maker


def test_a_checkpoint_is_scored_by_texts_of_its_own_link(maker):
    features = maker.store.features("toy", "tiny")
    (texts,) = maker.store.find_texts(logit_bias=-6.0)
    videos = load_videos(features)
    classes = load_classes(features, videos.class_names)
    assert (classes.text_set, classes.link) == (texts["id"], Link(20.0, -6.0))
    vectors = class_vectors(maker.store.texts(texts["id"]).embeddings)
    expected = restated("image", features.frames[:], vectors, classes.link)
    np.testing.assert_allclose(score(videos, classes, ["image"])["image"], expected, rtol=1e-3)


def test_rows_of_a_sigmoid(maker):
    features = maker.store.features("toy", "tiny")
    kept = []
    rows = zero_shot(features, settings=Scoring(keep=kept.append, **QUICK))
    assert {row.provenance["link"] for row in rows} == {"sigmoid"}
    assert not any(PROBABILITIES in row.provenance for row in rows)
    (error,) = [row.value for row in rows if row.metric == "calibration_error"]
    (scored,) = kept
    expected = calibration_error(scored.scores / 2, scored.videos.labels, num_summed=1)
    assert error == pytest.approx(expected)
    assert error != pytest.approx(calibration_error(scored.scores, scored.videos.labels))


def test_a_record_of_before_is_scored_by_its_softmax(maker):
    maker.features(maker.frames(num_views=2), fusion=None)
    rows = zero_shot(maker.store.features("toy", "tiny"), settings=Scoring(**QUICK))
    (softmaxes,) = maker.store.find_texts(logit_bias=None)
    assert {row.text_set for row in rows} == {softmaxes["id"]}
    assert not any("link" in row.provenance for row in rows)


def test_what_a_sigmoid_was_trained_for_is_told_of_a_softmax(maker):
    options = {"fusion": None, "logit_bias": -6.0}
    maker.features(maker.frames(num_views=2), checkpoint="siglip", **options)
    maker.texts("siglip")
    rows = zero_shot(maker.store.features("toy", "tiny"), settings=Scoring(**QUICK))
    assert all("trained with a sigmoid" in row.provenance[PROBABILITIES] for row in rows)
