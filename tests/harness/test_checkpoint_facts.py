import pytest

from harness.checkpoint_facts import has_sigmoid, trained_system


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


@pytest.mark.parametrize(
    ("settings", "expected"),
    [(None, ""), ({}, ""), ({"system": "vifi-clip"}, ""), ({"system": "x-clip"}, "x-clip")],
)
def test_what_has_parts_beside_the_towers(settings, expected):
    assert trained_system({"settings": settings}) == expected
