"""Captioned stills of the shapes, kept in memory: what the demo's model is pretrained on.

Captions speak of one shape and of its colour, its size or its place, never of motion.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vifi.demo.world import COLOURS, SHAPES, draw, near_colour, still_scene

# Sizes and places between two words get neither, so that no caption is a matter of taste.
SMALL_BELOW, BIG_ABOVE = 0.255, 0.305
LOW_BELOW, HIGH_ABOVE = 0.42, 0.58
# By where the centre lies: (-1 left or 1 right, -1 top or 1 bottom), 0 in the middle.
PLACES = {
    (-1, -1): "top left",
    (0, -1): "top",
    (1, -1): "top right",
    (-1, 0): "left",
    (1, 0): "right",
    (-1, 1): "bottom left",
    (0, 1): "bottom",
    (1, 1): "bottom right",
}


@dataclass(frozen=True, kw_only=True)
class Stills:
    """Images and every caption that is true of each."""

    images: NDArray[np.uint8]
    """[still height width 3]"""
    captions: list[str]
    """The distinct captions."""
    truth: NDArray[np.bool_]
    """[still caption] at least one is true in every row."""


def captions() -> list[str]:
    """The 68 distinct captions."""
    plain = [f"a photo of a {shape}" for shape in SHAPES]
    coloured = [f"a photo of a {colour} {shape}" for shape in SHAPES for colour in COLOURS]
    sized = [f"a {size} {shape}" for shape in SHAPES for size in ("small", "big")]
    placed = [f"a {shape} at the {place}" for shape in SHAPES for place in PLACES.values()]
    return plain + coloured + sized + placed


def make_stills(num_stills: int, *, side_pixels: int, seed: int) -> Stills:
    """Draw stills with their captions; the same seed gives the same stills."""
    known = captions()
    images = np.empty((num_stills, side_pixels, side_pixels, 3), np.uint8)
    truth = np.zeros((num_stills, len(known)), np.bool_)
    for row in range(num_stills):
        images[row], true_captions = _still(np.random.default_rng((seed, row)), side_pixels)
        truth[row, [known.index(caption) for caption in true_captions]] = True
    return Stills(images=images, captions=known, truth=truth)


def _still(rng: np.random.Generator, side_pixels: int) -> tuple[NDArray[np.uint8], list[str]]:
    shape, colour = rng.choice(list(SHAPES)), rng.choice(list(COLOURS))
    scene = replace(still_scene(rng, shape), colour=near_colour(rng, colour)[None])
    true_captions = [f"a photo of a {shape}", f"a photo of a {colour} {shape}"]
    if not SMALL_BELOW <= scene.radius[0] <= BIG_ABOVE:
        true_captions.append(f"a {'small' if scene.radius[0] < SMALL_BELOW else 'big'} {shape}")
    x, y = scene.centre[0]
    place = PLACES.get((_side(x), _side(y)))
    if place:
        true_captions.append(f"a {shape} at the {place}")
    return draw(scene, side_pixels, rng)[0], true_captions


def _side(length: float) -> int:
    return int(length > HIGH_ABOVE) - int(length < LOW_BELOW)
