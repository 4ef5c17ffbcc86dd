"""Shapes have the areas, places and colours that they are asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vifi.demo.world import COLOURS, SHAPES, Scene, draw, near_colour, still_scene

SIDE = 64

# Area of a shape of radius 1: circle, square of half side 0.86, equilateral triangle of inradius
# 1/2, two bars of 2 x 0.6.
AREAS = {"circle": np.pi, "square": 1.72**2, "triangle": 3**1.5 / 4, "cross": 2 * 1.2 - 0.36}


def white_on_black(shape: str, *, x: float = 0.5, y: float = 0.5, radius: float, angle: float = 0):
    """`[height width]` share of every pixel that the shape covers."""
    scene = Scene(
        shape=shape,
        centre=np.array([[x, y]], np.float32),
        radius=np.array([radius], np.float32),
        opacity=np.ones(1, np.float32),
        colour=np.ones((1, 3), np.float32),
        background=np.zeros((2, 3), np.float32),
        angle=angle,
        noise=0.0,
    )
    return draw(scene, SIDE, np.random.default_rng(0))[0, :, :, 0] / 255


def centroid(cover: np.ndarray) -> tuple[float, float]:
    places = (np.arange(SIDE) + 0.5) / SIDE
    return cover.sum(0) @ places / cover.sum(), cover.sum(1) @ places / cover.sum()


def test_areas_name_every_shape():
    assert AREAS.keys() == SHAPES.keys()


@pytest.mark.parametrize("shape", SHAPES)
@settings(deadline=None, max_examples=20)
@given(radius=st.floats(0.15, 0.35), angle=st.floats(-0.5, 0.5))
def test_area_is_that_of_the_shape_whatever_its_angle(shape, radius, angle):
    cover = white_on_black(shape, radius=radius, angle=angle).sum() / SIDE**2
    assert cover == pytest.approx(AREAS[shape] * radius**2, rel=0.05)


@pytest.mark.parametrize("shape", ["circle", "square", "cross"])
@settings(deadline=None, max_examples=20)
@given(x=st.floats(0.3, 0.7), y=st.floats(0.3, 0.7))
def test_edges_are_smooth_enough_to_place_a_shape_within_a_tenth_of_a_pixel(shape, x, y):
    found = centroid(white_on_black(shape, x=x, y=y, radius=0.25))
    assert found == pytest.approx((x, y), abs=0.1 / SIDE)


def test_an_invisible_shape_leaves_the_background_and_noise_moves_it():
    rng = np.random.default_rng(3)
    scene = still_scene(rng, "circle", num_frames=2)
    quiet = Scene(**{**vars(scene), "opacity": np.zeros(2, np.float32), "noise": 0.0})
    frames = draw(quiet, SIDE, rng)
    assert np.array_equal(frames[0], frames[1])
    assert frames.max() < 0.6 * 255
    noisy = draw(Scene(**{**vars(quiet), "noise": 0.05}), SIDE, rng)
    assert 0.03 < np.std(noisy.astype(float) - frames) / 255 < 0.06


def test_a_still_scene_lies_in_the_frame():
    for seed in range(50):
        scene = still_scene(np.random.default_rng(seed), "square")
        assert (scene.centre >= scene.radius[:, None] - 1e-6).all()
        assert (scene.centre <= 1 - scene.radius[:, None] + 1e-6).all()


@pytest.mark.parametrize("name", COLOURS)
def test_shades_stay_nearest_to_the_colour_that_names_them(name):
    rng = np.random.default_rng(0)
    known = np.array(list(COLOURS.values()))
    for _ in range(100):
        distances = np.linalg.norm(known - near_colour(rng, name), axis=1)
        assert list(COLOURS)[distances.argmin()] == name
