import pytest

from harness.measuring import _marks_of, has_sigmoid


@pytest.mark.parametrize(
    ("checkpoint", "expected"),
    [
        ({}, False),
        ({"settings": None, "config": {}}, False),
        ({"settings": {}, "config": {"init_logit_bias": -10}}, True),
        ({"settings": {"logit_bias": -3.5}, "config": {}}, True),
        ({"settings": {}, "config": {"init_logit_bias": None}}, False),
        # Tuned here, with a softmax.
        ({"settings": {"fusion": "embedding"}, "config": {"init_logit_bias": -10}}, False),
    ],
)
def test_what_was_trained_with_a_sigmoid(checkpoint, expected):
    assert has_sigmoid(checkpoint) == expected


def test_a_mean_keeps_the_marks_of_all_its_runs():
    runs = [
        {"assumed": ["activation"], "not_as_trained": {"frames": "8, trained with 16"}},
        {},
        {"assumed": ["preprocessing"], "not_as_trained": {"template": "{}"}, "cleaning": "words"},
    ]
    assert _marks_of(runs) == {
        "assumed": ["activation", "preprocessing"],
        "not_as_trained": {"frames": "8, trained with 16", "template": "{}"},
        "cleaning": "words",
    }
