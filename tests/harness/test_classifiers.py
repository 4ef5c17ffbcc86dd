import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from harness.classifiers import CLASSIFIERS, Task, cache, linear_probe, prototypes, tip_adapter
from harness.fusion import unit
from harness.link import Link
from harness.softmax import softmax
from vifistore.errors import UsageError

QUERY = np.array([[[0.6, 0.8]]], np.float32)


def blobs(seed=0, num_classes=4, dim=8, count=20):
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(num_classes, dim))
    labels = np.repeat(np.arange(num_classes), count)
    return unit(centres[labels] + 0.4 * generator.normal(size=(len(labels), dim))), labels


def test_prototypes_by_hand():
    vectors = np.eye(2, dtype=np.float32)[[0, 0, 1]]
    task = Task(num_classes=2, link=Link(10.0))
    found = prototypes(vectors, np.array([0, 0, 1]), task)(QUERY)
    # Cosines .6 and .8 with the two axes.
    np.testing.assert_allclose(found, softmax(np.array([[[6.0, 8.0]]])), rtol=1e-5)


def test_prototypes_answer_as_the_nearest_centroid():
    vectors, labels = blobs()
    queries, _ = blobs(seed=0, count=50)
    found = prototypes(vectors, labels, Task(num_classes=4, link=Link(1.0)))(queries)
    centres = unit(np.stack([vectors[labels == c].mean(axis=0) for c in range(4)]))
    expected = KNeighborsClassifier(1).fit(centres, range(4)).predict(queries)
    np.testing.assert_array_equal(found.argmax(axis=1), expected)


def test_tip_adapter_by_hand():
    vectors = np.array([[1, 0], [0, 1], [0, 1]], np.float32)
    text = np.array([[0, 1], [1, 0]], np.float32)
    task = Task(num_classes=2, link=Link(2.0), class_vectors=text)
    found = tip_adapter(vectors, np.array([0, 1, 1]), task)(QUERY)
    # Text logits 2 x (.8, .6); cache exp(-5.5 x .4) for class 0, 2 exp(-5.5 x .2) for class 1.
    logits = [1.6 + np.exp(-2.2), 1.2 + 2 * np.exp(-1.1)]
    np.testing.assert_allclose(found[0, 0], softmax(np.array(logits)), rtol=1e-5)


def test_linear_probe_separates_and_is_confident_about_its_training_videos():
    vectors, labels = blobs()
    predict = linear_probe(vectors, labels, Task(num_classes=4, link=Link(1.0)))
    assert (predict(vectors).argmax(axis=1) == labels).mean() > 0.95


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_probabilities_of_every_view_and_order_of_training_videos(name):
    vectors, labels = blobs()
    task = Task(num_classes=4, link=Link(10.0), class_vectors=unit(np.eye(4, 8)))
    queries = vectors[:12].reshape(3, 4, 8)
    found = CLASSIFIERS[name](vectors, labels, task)(queries)
    assert found.shape == (3, 4, 4)
    np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-5)
    order = np.random.default_rng(0).permutation(len(labels))
    again = CLASSIFIERS[name](vectors[order], labels[order], task)(queries)
    np.testing.assert_allclose(again, found, atol=5e-3)


def test_a_probe_of_one_class_is_refused():
    vectors, labels = blobs(num_classes=1)
    with pytest.raises(UsageError, match="tells two classes or more apart; use --classifier text"):
        linear_probe(vectors, labels, Task(num_classes=1, link=Link(1.0)))


def test_a_cache_by_hand_needs_no_text():
    vectors = np.array([[1, 0], [0, 1], [0, 1]], np.float32)
    found = cache(vectors, np.array([0, 1, 1]), Task(num_classes=2, link=Link(2.0)))(QUERY)
    votes = [np.exp(-2.2), 2 * np.exp(-1.1)]
    np.testing.assert_allclose(found[0, 0], softmax(np.array(votes)), rtol=1e-5)
