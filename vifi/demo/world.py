"""Draws scenes of one moving shape: what the demo's clips and stills show.

Lengths are fractions of the frame's side, (0, 0) is the top left corner, colours are RGB in [0, 1].
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.90, 0.12, 0.12),
    "yellow": (0.95, 0.88, 0.15),
    "green": (0.12, 0.72, 0.20),
    "blue": (0.15, 0.30, 0.95),
    "purple": (0.62, 0.18, 0.78),
    "white": (0.96, 0.96, 0.96),
}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One shape on one background; what moves has a leading frame axis."""

    shape: str
    centre: Floats
    """[frame 2] x and y."""
    radius: Floats
    """[frame]"""
    opacity: Floats
    """[frame] 0 invisible, 1 solid."""
    colour: Floats
    """[frame 3]"""
    background: Floats
    """[corner 3] colours at the top left and at the bottom right; between them a gradient."""
    angle: float
    """Radians by which the shape is turned."""
    noise: float
    """Standard deviation of the grain on every pixel."""


def draw(scene: Scene, side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The frames of a scene, `[frame height width 3]` uint8, `side` pixels high and wide."""
    pixels = ((np.arange(side) + 0.5) / side).astype(np.float32)
    ratio = (pixels[:, None] + pixels[None, :])[..., None] / 2
    background = scene.background[0] * (1 - ratio) + scene.background[1] * ratio
    x = pixels[None, None, :] - scene.centre[:, 0, None, None]
    y = pixels[None, :, None] - scene.centre[:, 1, None, None]
    cos, sin = np.float32(np.cos(scene.angle)), np.float32(np.sin(scene.angle))
    distance = SHAPES[scene.shape](
        x * cos + y * sin, y * cos - x * sin, scene.radius[:, None, None]
    )
    # A pixel is covered in proportion to the distance of its centre from the outline.
    cover = np.clip(0.5 - distance * side, 0, 1) * scene.opacity[:, None, None]
    frames = background + cover[..., None] * (scene.colour[:, None, None] - background)
    frames += rng.standard_normal(frames.shape, np.float32) * np.float32(scene.noise)
    return (np.clip(frames, 0, 1) * 255 + 0.5).astype(np.uint8)


def still_scene(rng: np.random.Generator, shape: str, num_frames: int = 1) -> Scene:
    """A scene of one shape in which nothing moves; all else is drawn at random."""
    radius = rng.uniform(0.20, 0.36)
    centre = rng.uniform(radius, 1 - radius, 2)
    colour = near_colour(rng, rng.choice(list(COLOURS)))
    return Scene(
        shape=shape,
        centre=_repeat(centre, num_frames),
        radius=_repeat(radius, num_frames),
        opacity=_repeat(1.0, num_frames),
        colour=_repeat(colour, num_frames),
        background=_background(rng),
        angle=rng.uniform(-0.1, 0.1),
        noise=rng.uniform(0.01, 0.03),
    )


def near_colour(rng: np.random.Generator, name: str) -> Floats:
    """`[3]` a shade close enough to a named colour to be called by that name."""
    shade = np.asarray(COLOURS[name]) * rng.uniform(0.85, 1) + rng.normal(0, 0.03, 3)
    return np.clip(shade, 0, 1).astype(np.float32)


def _background(rng: np.random.Generator) -> Floats:
    # Dark and nearly grey, so that every named colour stands out from it.
    grey = rng.uniform(0.02, 0.40, (2, 1))
    return np.clip(grey + rng.normal(0, 0.03, (2, 3)), 0, 1).astype(np.float32)


def _repeat(value: object, num_frames: int) -> Floats:
    array = np.asarray(value, np.float32)
    return np.broadcast_to(array, (num_frames, *array.shape))


# Signed distances to the outline, negative inside; x, y and r are arrays that broadcast.


def _circle(x: Floats, y: Floats, r: Floats) -> Floats:
    return np.hypot(x, y) - r


def _square(x: Floats, y: Floats, r: Floats) -> Floats:
    return np.maximum(np.abs(x), np.abs(y)) - 0.86 * r


def _triangle(x: Floats, y: Floats, r: Floats) -> Floats:
    slope = np.float32(np.sqrt(3) / 2)
    return np.maximum(slope * np.abs(x) - y / 2, y) - r / 2


def _cross(x: Floats, y: Floats, r: Floats) -> Floats:
    long, short = np.maximum(np.abs(x), np.abs(y)), np.minimum(np.abs(x), np.abs(y))
    return np.maximum(long - r, short - 0.3 * r)


SHAPES: dict[str, Callable[[Floats, Floats, Floats], Floats]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "cross": _cross,
}
