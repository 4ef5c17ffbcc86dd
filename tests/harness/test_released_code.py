import pytest

from harness.protocols.zero_shot import zero_shot
from harness.released_code import ALL_VIDEOS, FIXED_CLIPS, PIXELS, differences


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ({"clips": 1, "preprocessing": {"name": "paper"}}, [ALL_VIDEOS]),
        ({"clips": 4, "preprocessing": {"name": "paper"}}, [ALL_VIDEOS, FIXED_CLIPS]),
        ({"clips": 1, "preprocessing": {"name": "openclip"}}, [ALL_VIDEOS, PIXELS]),
        ({"imported": {}, "clips": 1, "crops": 1}, [ALL_VIDEOS]),
    ],
)
def test_what_differs_follows_from_the_recipe(recipe, expected):
    assert differences(recipe) == expected


def test_every_row_says_where_it_differs(make_store):
    maker = make_store()
    maker.features(maker.frames(num_views=4))
    maker.texts()
    for row in zero_shot(maker.store, "toy", "tiny"):
        told = row.provenance["differs_from_released_code"]
        assert told == [ALL_VIDEOS, FIXED_CLIPS, PIXELS]
