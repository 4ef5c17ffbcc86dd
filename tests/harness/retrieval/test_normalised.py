"""Normalised scores: each rule beside a plain restatement, in parts and at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.retrieval.likeness import KnownLikeness
from harness.retrieval.normalised import NORMALISATIONS, NormalisedLikeness, normaliser


def plainly(rule, sharpness, scores, bank):
    """Scores [query item] by the formulas of the module, a number at a time."""
    found = np.empty(scores.shape)
    hubs = {int(np.argmax(row)) for row in bank}
    for query, row in enumerate(scores):
        for item, score in enumerate(row):
            total = sum(np.exp(sharpness * float(other[item])) for other in bank)
            share = np.exp(sharpness * float(score)) / total
            is_hub = int(np.argmax(row)) in hubs
            by_rule = {
                "inverted-softmax": share,
                "dual-softmax": float(score) * share,
                "qb-norm": share if is_hub else float(score),
            }
            found[query, item] = by_rule[rule]
    return found


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_rules_are_the_plain_ones(data):
    generator = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    num_items = data.draw(st.integers(1, 6))
    scores, bank = (
        generator.uniform(-1, 1, (data.draw(st.integers(1, 6)), num_items)).astype(np.float32)
        for _ in range(2)
    )
    rule, sharpness = (
        data.draw(st.sampled_from(NORMALISATIONS)),
        data.draw(st.sampled_from([1, 20])),
    )
    part = data.draw(st.integers(1, 6))
    parts = (bank[start : start + part] for start in range(0, len(bank), part))
    found = normaliser(rule, sharpness, parts, num_items).scores(scores)
    expected = plainly(rule, sharpness, scores, bank)
    # They are compared within a query: a logarithm keeps the order.
    np.testing.assert_array_equal(found.argsort(axis=1), expected.argsort(axis=1))


def test_a_hub_gives_way():
    # Item 0 is near to every query, and best for query 0 alone by what others make of it.
    scores = np.array([[0.9, 0.2, 0.1], [0.8, 0.7, 0.1], [0.8, 0.1, 0.7]], np.float32)
    assert scores.argmax(axis=1).tolist() == [0, 0, 0]
    for rule in NORMALISATIONS:
        found = normaliser(rule, 20, [scores], 3).scores(scores)
        assert found.argmax(axis=1).tolist() == [0, 1, 2], rule


def test_qb_norm_leaves_queries_alone_whose_best_is_no_hub():
    bank = np.array([[0.9, 0.1]], np.float32)
    scores = np.array([[0.4, 0.5], [0.5, 0.4]], np.float32)
    found = normaliser("qb-norm", 20, [bank], 2).scores(scores)
    np.testing.assert_allclose(found[0], scores[0])
    assert found[1].argmax() == 1


def test_large_similarities_do_not_overflow():
    scores = np.array([[1.0, 0.5], [0.9, 1.0]], np.float32)
    for rule in NORMALISATIONS:
        found = normaliser(rule, 1e5, [scores], 2).scores(scores)
        assert np.isfinite(found).all()
        assert found.argmax(axis=1).tolist() == [0, 1]
    # Nothing ties that is told apart, and what is 0 lies between.
    bank, scores = np.array([[-1.0] * 4]), np.array([[0.9, 0.2, 0.0, -0.3]])
    found = normaliser("dual-softmax", 1e5, [bank], 4).scores(scores)
    assert found.argsort(axis=1).tolist() == [[3, 2, 1, 0]]
    assert np.isfinite(found).all()


def test_both_ways_have_a_bank_of_their_own():
    cosines = np.array([[0.9, 0.8, 0.8], [0.2, 0.7, 0.1], [0.1, 0.1, 0.7]], np.float32)
    plain = KnownLikeness(cosines)
    likeness = NormalisedLikeness(
        plain=plain,
        videos=normaliser("inverted-softmax", 20, [plain.of_texts(np.arange(3))], 3),
        texts=normaliser("inverted-softmax", 20, [plain.of_videos(np.array([0]))], 3),
    )
    assert likeness.counts == (3, 3)
    assert likeness.of_texts(np.arange(3)).argmax(axis=1).tolist() == [0, 1, 2]
    # To videos the one query of the bank makes every text as dear as it is near to it.
    assert likeness.of_videos(np.array([1])) == pytest.approx(
        20 * (cosines[[1]].astype(float) - cosines[[0]]), abs=1e-5
    )
