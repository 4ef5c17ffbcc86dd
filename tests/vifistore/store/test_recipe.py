"""A recipe's id changes with every field of it, and with nothing else."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import plain_recipe
from vifistore.store.recipe import (
    Preprocessing,
    Recipe,
    canonical_json,
    digest_of,
    recipe_id,
)


def mutated(value: object) -> object:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, tuple):
        return (*value[:-1], value[-1] + 1e-9)
    return value + 1 if isinstance(value, int | float) else f"{value}x"


def with_preprocessing(**changes: object) -> Recipe:
    """The plain recipe with another preprocessing."""
    recipe = plain_recipe()
    return dataclasses.replace(
        recipe, preprocessing=dataclasses.replace(recipe.preprocessing, **changes)
    )


PLAIN = sorted(field.name for field in dataclasses.fields(Recipe) if field.name != "preprocessing")
NESTED = sorted(field.name for field in dataclasses.fields(Preprocessing))


@pytest.mark.parametrize("name", PLAIN)
def test_every_field_counts(name):
    recipe = plain_recipe()
    other = dataclasses.replace(recipe, **{name: mutated(getattr(recipe, name))})
    assert other.id != recipe.id


@pytest.mark.parametrize("name", NESTED)
def test_every_field_of_the_preprocessing_counts(name):
    recipe = plain_recipe()
    assert (
        with_preprocessing(**{name: mutated(getattr(recipe.preprocessing, name))}).id != recipe.id
    )


RATES = ("stride", "fps", "every")


def test_what_the_recipe_names():
    """A field that is dropped from the recipe would not count any more."""
    first = {"image_digest", "sampling_rule", "frames", "clips", "crops", "precision", "numerics"}
    assert set(PLAIN) == first | {"decoder", "decoder_version", "kind", "outputs", *RATES}
    second = {"name", "size", "short_side", "interpolation", "antialias", "mean", "std"}
    assert set(NESTED) == second | {"backend", "resize_mode"}


def test_views_are_not_their_product():
    recipe = plain_recipe()
    first = dataclasses.replace(recipe, clips=2, crops=3)
    second = dataclasses.replace(recipe, clips=3, crops=2)
    assert first.num_views == second.num_views == 6
    assert first.id != second.id


def test_the_id_is_that_of_the_stored_recipe():
    recipe = plain_recipe()
    stored = json.loads(json.dumps(recipe.as_dict()))
    assert recipe_id(stored) == recipe.id
    assert recipe_id(dict(reversed(stored.items()))) == recipe.id
    assert len(recipe.id) == 12
    assert digest_of(stored).startswith(recipe.id)


def test_the_id_of_a_recipe_stays_what_it_was():
    """Else every store out there would be encoded again."""
    assert plain_recipe().id == "c16ea35645d0"
    assert "resize_mode" not in plain_recipe().as_dict()["preprocessing"]


def test_squares_of_the_whole_frame_say_so():
    squashed = with_preprocessing(resize_mode="squash")
    assert squashed.as_dict()["preprocessing"]["resize_mode"] == "squash"
    assert squashed.id == "0c8ba5ee654a"
    back = Preprocessing(**squashed.as_dict()["preprocessing"])
    assert (back.resize_mode, back.geometry(1)) == ("squash", squashed.preprocessing.geometry(1))
    plain = plain_recipe().preprocessing
    assert squashed.preprocessing.geometry(1) == {**plain.geometry(1), "resize_mode": "squash"}
    # By these words entries of the frame cache are found again.
    kept = {"size", "short_side", "interpolation", "antialias", "backend", "crops"}
    assert plain.geometry(1).keys() == kept


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False).filter(lambda number: abs(number) != float("inf")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(VALUES, VALUES)
@settings(deadline=None, max_examples=50)
def test_canonical_json_is_one_text_per_value(first, second):
    assert json.loads(canonical_json(first)) == first
    assert canonical_json(first).isascii()
    if canonical_json(first) == canonical_json(second):
        assert json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_json_cannot_say_is_refused(number):
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json({"a": number})
