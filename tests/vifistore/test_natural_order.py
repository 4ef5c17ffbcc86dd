import pytest

from vifistore.natural_order import natural_order


@pytest.mark.parametrize(
    "names",
    [
        ["run@step-2", "run@step-10", "run@step-10+a5", "run@step-100"],
        ["", "a", "a1b", "a1c", "a2", "b"],
        # No sign that Python calls a digit and cannot count with ends the sorting.
        ["1", "1\u00b21", "2"],
        # Nor does a number that is longer than Python counts.
        ["1" * 9999, "2" * 9999, "a"],
    ],
)
def test_numbers_count_by_their_value(names):
    turned = names[::-1]
    turned.sort(key=natural_order)
    assert turned == names
