"""Captions are true of the stills they are given to."""

from pathlib import Path

import numpy as np
import pytest

from vifi.demo.clips import class_names
from vifi.demo.made_world import MODEL, pretraining
from vifi.demo.stills import PLACES, captions, make_stills
from vifi.demo.world import COLOURS, SHAPES
from vifi.demo.world_size import WorldSize
from vifi.study.study_document import read_document
from vifistore.errors import UsageError
from vifistore.models.registry import model_config, open_clip
from vifistore.training.training_settings import TrainSettings

SIDE = 48
STUDIES = sorted((Path(__file__).parents[3] / "vifi/demo").glob("*.toml"))


@pytest.fixture(scope="module")
def stills():
    return make_stills(300, side_pixels=SIDE, seed=0)


def true_captions(stills, row: int) -> list[str]:
    return [stills.captions[column] for column in np.flatnonzero(stills.truth[row])]


def shape_pixels(image: np.ndarray) -> np.ndarray:
    """`[height width]` whether a pixel is much unlike the background, which fills the corners."""
    corners = image[[0, 0, -1, -1], [0, -1, 0, -1]].astype(float)
    distance = np.abs(image[:, :, None].astype(float) - corners).sum(-1).min(-1)
    return distance > 0.6 * distance.max()


def test_captions_are_distinct_and_every_one_is_true_of_some_still(stills):
    assert len(set(captions())) == len(captions()) == 4 * (1 + 6 + 2 + 8)
    assert stills.truth.any(0).all()


def test_true_captions_speak_of_one_shape_one_colour_and_at_most_one_size_and_place(stills):
    for row in range(len(stills.truth)):
        said = true_captions(stills, row)
        shapes = {word for caption in said for word in caption.split() if word in SHAPES}
        assert len(shapes) == 1
        assert f"a photo of a {shapes.pop()}" in said
        assert sum(colour in caption for caption in said for colour in COLOURS) == 1
        assert sum(" at the " in caption for caption in said) <= 1
        assert sum("small" in caption or "big" in caption for caption in said) <= 1


def test_places_are_where_the_pixels_are(stills):
    offsets = {name: place for place, name in PLACES.items()}
    for row in range(len(stills.truth)):
        named = [c.split(" at the ")[1] for c in true_captions(stills, row) if " at the " in c]
        rows, columns = np.nonzero(shape_pixels(stills.images[row]))
        found = (columns.mean() / SIDE - 0.5, rows.mean() / SIDE - 0.5)
        for offset, side in zip(found, offsets[named[0]] if named else (0, 0), strict=True):
            assert side * offset > 0 if side else abs(offset) < 0.13


def test_big_shapes_cover_more_than_small_ones(stills):
    covers = {"small": [], "big": []}
    for row in range(len(stills.truth)):
        for size in covers:
            if any(f"a {size} square" == caption for caption in true_captions(stills, row)):
                covers[size].append(shape_pixels(stills.images[row]).mean())
    assert max(covers["small"]) < min(covers["big"])


def test_same_seed_same_stills_and_more_of_them_begin_alike(stills):
    again = make_stills(10, side_pixels=SIDE, seed=0)
    assert np.array_equal(again.images, stills.images[:10])
    assert np.array_equal(again.truth, stills.truth[:10])
    assert not np.array_equal(make_stills(10, side_pixels=SIDE, seed=1).images, again.images)


def test_no_text_of_the_demo_is_cut_at_the_models_context():
    texts = captions() + [TrainSettings().template.format(name) for name in class_names()]
    context = model_config(MODEL)["text_cfg"]["context_length"]
    cut = open_clip.get_tokenizer(MODEL, context_length=context)(texts)
    whole = open_clip.get_tokenizer(MODEL, context_length=77)(texts)
    assert (cut == whole[:, :context]).all()
    assert not whole[:, context:].any()


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_worlds_have_every_shape_of_each_motion(path):
    # So that neither alone decides a class.
    (command,) = (entry["command"] for entry in read_document(path)["prepare"].values())
    assert int(command[command.index("--classes") + 1]) % len(SHAPES) == 0


def test_stills_are_trained_on_in_a_way_that_keeps_captions_true():
    assert pretraining(WorldSize()).flip == 0
    assert pretraining(WorldSize()).num_frames == 1


def test_a_world_of_nothing_is_refused():
    with pytest.raises(UsageError, match="--test-clips is 0"):
        WorldSize(test_clips=0)
