"""Clips of shapes that move: four shapes x six motions, written as H.264 files.

A clip depends on the seed, its split, its class and its number alone, so asking for more clips or
for fewer classes leaves the others as they are, byte for byte.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from vifi.demo.world import SHAPES, Floats, Scene, draw, still_scene

SPLITS = ("train", "test")
SIDE_PIXELS = 64
NUM_FRAMES = 16
FRAMES_PER_SECOND = 8

Motion = Callable[[Scene, Floats, np.random.Generator], Scene]


def class_names() -> list[str]:
    """All 24 classes: "circle sliding sideways", "square sliding sideways" and so on."""
    return [f"{shape} {motion}" for motion in MOTIONS for shape in SHAPES]


def write_clips(
    folder: Path, classes: Sequence[str], clips_per_class: Mapping[str, int], seed: int
) -> list[Path]:
    """Write `folder/<split>/<class name>/<number>.mp4`; `clips_per_class` maps split to count."""
    written = []
    for split, num_clips in clips_per_class.items():
        for name in classes:
            (folder / split / name).mkdir(parents=True, exist_ok=True)
            for number in range(num_clips):
                path = folder / split / name / f"{number:03d}.mp4"
                write_mp4(path, draw_clip(name, split=split, number=number, seed=seed))
                written.append(path)
    return written


def draw_clip(name: str, *, split: str, number: int, seed: int) -> NDArray[np.uint8]:
    """The frames of one clip, `[frame height width 3]` uint8."""
    shape, motion = name.split(" ", 1)
    key = (seed, SPLITS.index(split), class_names().index(name), number)
    rng = np.random.default_rng(key)
    seconds = np.arange(NUM_FRAMES, dtype=np.float32) / FRAMES_PER_SECOND
    turn = 2 * np.pi * (seconds * rng.uniform(0.5, 0.9) + rng.uniform())
    scene = MOTIONS[motion](still_scene(rng, shape, NUM_FRAMES), turn.astype(np.float32), rng)
    return draw(scene, SIDE_PIXELS, rng)


def write_mp4(path: Path, frames: NDArray[np.uint8]) -> None:
    """Encode `[frame height width 3]` frames; the same frames give the same bytes."""
    # x264's result depends on its number of threads and, seen with 64-pixel frames, on what its
    # vector code finds behind them in memory; bitexact leaves versions out of the header.
    options = {"threads": "1", "preset": "ultrafast", "crf": "23", "x264-params": "asm=0"}
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


# Colours that have no name in the stills, for shapes that change theirs.
RAINBOW = ((1.0, 0.5, 0.0), (0.0, 0.9, 0.9), (1.0, 0.4, 0.7), (0.6, 1.0, 0.1), (0.5, 0.3, 0.1))

# What each motion changes; `turn` is the phase in radians of every frame, 1-2 cycles over a clip.


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


# The first ones are the easiest to tell apart, which is what a smaller demo takes.
MOTIONS: dict[str, Motion] = {
    "sliding sideways": _slide,
    "growing and shrinking": _grow,
    "blinking on and off": _blink,
    "bouncing up and down": _bounce,
    "changing colour": _change_colour,
    "going round and round": _orbit,
}
