"""The datasets of the demo's world: each stands for one of the paper's, by other classes and looks.

Only mini-k400 has the classes that models are tuned on first. mini-ssv2 has motions alone, half of
them another one played backwards: the mean of frames cannot tell these apart.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from vifi.demo.motions import MOTIONS
from vifi.demo.world import SHAPES, Scene

ANY_SHAPE = "something"

Look = Callable[[Scene, np.random.Generator], Scene]


def _plain(scene: Scene, rng: np.random.Generator) -> Scene:
    return scene


def _coloured(scene: Scene, rng: np.random.Generator) -> Scene:
    """In front of colours, in place of greys."""
    return replace(scene, background=rng.uniform(0.05, 0.45, (2, 3)).astype(np.float32))


def _turned(scene: Scene, rng: np.random.Generator) -> Scene:
    """Shapes in any position."""
    return replace(scene, angle=float(rng.uniform(-np.pi, np.pi)))


def _grainy(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(scene, noise=float(rng.uniform(0.06, 0.1)))


@dataclass(frozen=True, kw_only=True)
class MiniDataset:
    """Classes, and how their clips look."""

    number: int
    """Part of the seed of its clips."""
    shapes: tuple[str, ...] = tuple(SHAPES)
    motions: tuple[str, ...]
    tests: tuple[str, ...]
    """Its test splits."""
    look: Look = _plain

    @property
    def class_names(self) -> list[str]:
        """ "circle sliding sideways" and so on; all shapes of a motion beside one another."""
        return [f"{shape} {motion}" for motion in self.motions for shape in self.shapes]


_VALS = ("val1", "val2", "val3")
MINI_DATASETS = {
    # The first motions are the easiest to tell apart, which is what a smaller demo takes.
    "mini-k400": MiniDataset(number=0, motions=tuple(MOTIONS)[:6], tests=("test",)),
    "mini-hmdb51": MiniDataset(
        number=1,
        motions=("sliding up and down", "bouncing sideways", "blinking while sliding"),
        tests=_VALS,
        look=_coloured,
    ),
    "mini-ucf101": MiniDataset(
        number=2,
        motions=("sliding along a diagonal", "growing while sliding", "blinking and growing"),
        tests=_VALS,
        look=_turned,
    ),
    "mini-k600": MiniDataset(
        number=3,
        motions=("going round while growing", "changing colour while sliding", "jumping about"),
        tests=_VALS,
        look=_grainy,
    ),
    "mini-ssv2": MiniDataset(
        number=4,
        shapes=(ANY_SHAPE,),
        motions=(
            *("moving from left to right", "moving from right to left", "rising", "falling"),
            *("becoming bigger", "becoming smaller", "appearing", "disappearing"),
        ),
        tests=("validation",),
    ),
}
