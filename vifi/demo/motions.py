"""How the shapes of clips move, by the name of what they do."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from vifi.demo.world import Floats, Scene

Motion = Callable[[Scene, Floats, np.random.Generator], Scene]

# Colours that have no name in the stills, for shapes that change theirs.
RAINBOW = ((1.0, 0.5, 0.0), (0.0, 0.9, 0.9), (1.0, 0.4, 0.7), (0.6, 1.0, 0.1), (0.5, 0.3, 0.1))

# What each motion changes; `turn` [frame] is the phase in radians, 1-2 cycles over a clip.


def _slide(scene: Scene, turn: Floats, rng: np.random.Generator) -> Scene:
    x = 0.5 + (0.5 - scene.radius) * np.sin(turn)
    return replace(scene, centre=np.stack([x, _near_middle(rng, x)], 1))


def _bounce(scene: Scene, turn: Floats, rng: np.random.Generator) -> Scene:
    height = (1 - 2 * scene.radius) * np.abs(np.sin(turn))
    y = 1 - scene.radius - height
    return replace(scene, centre=np.stack([_near_middle(rng, y), y], 1))


def _orbit(scene: Scene, turn: Floats, rng: np.random.Generator) -> Scene:
    reach = (0.5 - scene.radius) * rng.choice([-1, 1])
    offsets = np.stack([np.cos(turn) * reach, np.sin(turn) * np.abs(reach)], 1)
    return replace(scene, centre=(0.5 + offsets).astype(np.float32))


def _grow(scene: Scene, turn: Floats, rng: np.random.Generator) -> Scene:
    return replace(scene, radius=(0.23 + 0.15 * np.sin(turn)).astype(np.float32))


def _blink(scene: Scene, turn: Floats, rng: np.random.Generator) -> Scene:
    return replace(scene, opacity=np.clip(0.5 + 2 * np.sin(2 * turn), 0, 1))


def _change_colour(scene: Scene, turn: Floats, rng: np.random.Generator) -> Scene:
    stops = rng.permutation(RAINBOW)[:4].astype(np.float32)
    position = turn / (2 * np.pi) * len(stops)
    first, ratio = np.floor(position).astype(int), (position % 1)[:, None]
    following = stops[(first + 1) % len(stops)]
    return replace(scene, colour=stops[first % len(stops)] * (1 - ratio) + following * ratio)


def _near_middle(rng: np.random.Generator, like: Floats) -> Floats:
    return np.full_like(like, 0.5 + rng.uniform(-0.12, 0.12))


def _upright(scene: Scene) -> Scene:
    """With x and y exchanged."""
    return replace(scene, centre=scene.centre[:, ::-1])


def _slide_up(scene: Scene, turn: Floats, rng: np.random.Generator) -> Scene:
    return _upright(_slide(scene, turn, rng))


def _bounce_sideways(scene: Scene, turn: Floats, rng: np.random.Generator) -> Scene:
    return _upright(_bounce(scene, turn, rng))


def _diagonal(scene: Scene, turn: Floats, rng: np.random.Generator) -> Scene:
    x = 0.5 + (0.5 - scene.radius) * np.sin(turn)
    return replace(scene, centre=np.stack([x, x], 1))


def _jump(scene: Scene, turn: Floats, rng: np.random.Generator) -> Scene:
    """To another place at every quarter of a cycle."""
    places = rng.uniform(scene.radius[0], 1 - scene.radius[0], (16, 2)).astype(np.float32)
    return replace(scene, centre=places[(turn / (np.pi / 2)).astype(int) % len(places)])


def _both(first: Motion, second: Motion) -> Motion:
    """Two at once; the second stays in the frame that the first leaves it."""
    return lambda scene, turn, rng: second(first(scene, turn, rng), turn, rng)


def _once(start: float, end: float, field: str) -> Motion:
    """A change from a start to an end within the clip, in one direction.

    `field` is x or y (shares of the way that there is), radius, or opacity.
    """

    def move(scene: Scene, turn: Floats, rng: np.random.Generator) -> Scene:
        share = (turn - turn[0]) / (turn[-1] - turn[0])
        value = (start + (end - start) * share).astype(np.float32)
        if field in ("radius", "opacity"):
            return replace(scene, **{field: value})
        along = scene.radius + (1 - 2 * scene.radius) * value
        across = _near_middle(rng, along)
        return replace(scene, centre=np.stack([along, across][:: 1 if field == "x" else -1], 1))

    return move


MOTIONS: dict[str, Motion] = {
    "sliding sideways": _slide,
    "growing and shrinking": _grow,
    "blinking on and off": _blink,
    "bouncing up and down": _bounce,
    "changing colour": _change_colour,
    "going round and round": _orbit,
    "sliding up and down": _slide_up,
    "bouncing sideways": _bounce_sideways,
    "blinking while sliding": _both(_slide, _blink),
    "sliding along a diagonal": _diagonal,
    "growing while sliding": _both(_grow, _slide),
    "blinking and growing": _both(_grow, _blink),
    "going round while growing": _both(_grow, _orbit),
    "changing colour while sliding": _both(_slide, _change_colour),
    "jumping about": _jump,
    "moving from left to right": _once(0, 1, "x"),
    "moving from right to left": _once(1, 0, "x"),
    "rising": _once(1, 0, "y"),
    "falling": _once(0, 1, "y"),
    "becoming bigger": _once(0.1, 0.38, "radius"),
    "becoming smaller": _once(0.38, 0.1, "radius"),
    "appearing": _once(0, 1, "opacity"),
    "disappearing": _once(1, 0, "opacity"),
}
