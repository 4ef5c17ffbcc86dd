import numpy as np
import pytest
from scipy.stats import binomtest, false_discovery_control

from harness.corrections import CORRECTIONS, WORDS, benjamini_hochberg, corrected, holm, sign_test
from vifistore.errors import UnknownNameError


@pytest.mark.parametrize(("plus", "minus"), [(0, 0), (1, 0), (3, 9), (9, 3), (5, 5), (400, 300)])
def test_the_sign_test_is_the_exact_binomial_one(plus, minus):
    expected = binomtest(plus, plus + minus).pvalue if plus + minus else 1.0
    assert sign_test(plus, minus) == pytest.approx(expected, rel=1e-9)


def test_many_more_differences_than_a_float_can_count():
    assert sign_test(1100, 0) == 0.0
    assert sign_test(5000, 5000) == 1.0
    assert sign_test(4000, 4400) == pytest.approx(binomtest(4000, 8400).pvalue, rel=1e-9)


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]).max() == 1.0


def test_benjamini_and_hochberg_as_scipy_has_it():
    p_values = np.random.default_rng(0).random(50) ** 3
    np.testing.assert_allclose(benjamini_hochberg(p_values), false_discovery_control(p_values))


def test_few_findings_are_false_where_nothing_differs():
    """Of families without any difference at most 5% have a finding."""
    draws = np.random.default_rng(1).random((2000, 30))
    assert np.mean([holm(row).min() < 0.05 for row in draws]) < 0.065
    assert np.mean([row.min() < 0.05 for row in draws]) > 0.5


def test_corrections_by_name():
    assert CORRECTIONS.keys() == WORDS.keys()
    assert corrected([], "bh").tolist() == []
    with pytest.raises(UnknownNameError, match="unknown correction 'x'"):
        corrected([0.5], "x")
