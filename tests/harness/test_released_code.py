import pytest

from harness.protocols.zero_shot import zero_shot
from harness.released_code import (
    ALL_VIDEOS,
    FIXED_CLIPS,
    FORMER_PIXELS,
    IN_ORDER,
    PIXELS,
    PRECISION,
    TEXTS,
    differences,
)
from vifistore.frames.preprocess import preprocessing_of

PAPER = vars(preprocessing_of("paper", {"size": 224}, 1))
FORMER = PAPER | {"backend": "pillow-exact"}


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ({"clips": 1, "preprocessing": PAPER}, [IN_ORDER]),
        ({"clips": 1, "preprocessing": FORMER}, [IN_ORDER, FORMER_PIXELS]),
        ({"clips": 4, "preprocessing": PAPER}, [FIXED_CLIPS, IN_ORDER]),
        ({"clips": 1, "preprocessing": {"name": "openclip"}}, [IN_ORDER, PIXELS]),
        ({"preprocessing": PAPER, "precision": "bf16"}, [IN_ORDER, PRECISION["bf16"]]),
        ({"preprocessing": PAPER, "precision": "fp32"}, [IN_ORDER, PRECISION["fp32"]]),
        ({"imported": {}, "clips": 1, "crops": 1}, []),
    ],
)
def test_what_differs_follows_from_the_recipe(recipe, expected):
    assert differences(recipe) == [ALL_VIDEOS, TEXTS, *expected]


def test_every_row_says_where_it_differs(make_store):
    maker = make_store()
    maker.features(maker.frames(num_views=4))
    maker.texts()
    for row in zero_shot(maker.store.features("toy", "tiny")):
        told = row.provenance["differs_from_released_code"]
        assert told == [ALL_VIDEOS, TEXTS, FIXED_CLIPS, IN_ORDER, PIXELS, PRECISION["fp32"]]
