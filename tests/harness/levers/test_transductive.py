"""Dual softmax and the test-time cache, each restated plainly."""

import math

import numpy as np
import pytest

from harness.levers.transductive import with_caches
from harness.mutual_softmax import mutual_softmax


def planted(num_videos=60, num_classes=4, dim=8, seed=0, scale=6.0):
    generator = np.random.default_rng(seed)
    classes = generator.normal(size=(num_classes, dim))
    classes /= np.linalg.norm(classes, axis=1, keepdims=True)
    vectors = classes[np.arange(num_videos) % num_classes] + 0.5 * generator.normal(
        size=(num_videos, dim)
    )
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), scale * vectors @ classes.T


def test_mutual_softmax_is_the_product_of_both_shares():
    logits = planted(7)[1]
    powers = np.exp(logits)
    for query in range(7):
        for item in range(4):
            of_items = powers[query, item] / sum(powers[query])
            of_queries = powers[query, item] / sum(powers[:, item])
            expected = of_items * of_queries
            assert mutual_softmax(logits)[query, item] == pytest.approx(expected, rel=1e-9)


def test_mutual_softmax_takes_a_hub_its_share():
    # Item 0 is near to every query, and nearest to two that have one of their own.
    logits = np.array([[5.0, 1, 1], [5.0, 4.5, 1], [5.0, 1, 4.5]])
    assert logits.argmax(1).tolist() == [0, 0, 0]
    assert mutual_softmax(logits).argmax(1).tolist() == [0, 1, 2]


def restated(vectors, logits):
    """Karmanov et al. 2024 by dictionaries, one video after the other."""
    positive, negative, found = {}, {}, []
    for vector, row in zip(vectors.astype(float), logits, strict=True):
        powers = [math.exp(z - max(row)) for z in row]
        p = [power / sum(powers) for power in powers]
        entropy = -sum(share * math.log(share) for share in p)
        answer = max(range(len(row)), key=lambda c: row[c])
        caches = [(positive, 3)]
        if 0.2 < entropy / math.log2(len(row)) < 0.5:
            caches.append((negative, 2))
        for cache, room in caches:
            kept = sorted([*cache.get(answer, []), (entropy, len(found), vector, p)])[:room]
            cache[answer] = kept
        total = list(row)
        for c in range(len(row)):
            for of_class, kept in positive.items():
                for _, _, key, _ in kept:
                    if of_class == c:
                        total[c] += 2.0 * math.exp(-5.0 * (1 - key @ vector))
            for kept in negative.values():
                for _, _, key, shares in kept:
                    if 0.03 < shares[c] < 1.0:
                        total[c] -= 0.117 * math.exp(-(1 - key @ vector))
        found.append(total)
    return np.array(found)


@pytest.mark.parametrize("scale", [3.0, 6.0, 12.0])
def test_the_caches_equal_their_restatement(scale):
    vectors, logits = planted(scale=scale)
    np.testing.assert_allclose(with_caches(vectors, logits), restated(vectors, logits), atol=1e-5)


def test_videos_that_texts_miss_are_found_by_those_before_them():
    """Texts that lie beside their classes: the votes of videos pull towards these."""
    generator = np.random.default_rng(1)
    centres = np.eye(4)[np.arange(400) % 4]
    vectors = centres + 0.25 * generator.normal(size=(400, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    texts = np.eye(4) + 0.55 * np.roll(np.eye(4), 1, axis=1)
    logits = 2.0 * vectors @ (texts / np.linalg.norm(texts, axis=1, keepdims=True)).T
    labels = np.arange(400) % 4
    plain = (logits.argmax(1) == labels).mean()
    cached = (with_caches(vectors.astype(np.float32), logits).argmax(1) == labels).mean()
    assert plain < 0.99
    assert cached > plain
