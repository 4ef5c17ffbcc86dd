"""Clips of shapes that move, written as H.264 files.

A clip depends on the seed, its split, its class and its number alone, so asking for more clips or
for fewer classes leaves the others as they are, byte for byte.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from vifi.demo.mini_datasets import ANY_SHAPE, MINI_DATASETS, MiniDataset
from vifi.demo.motions import MOTIONS
from vifi.demo.world import SHAPES, draw, still_scene

MINI_K400 = MINI_DATASETS["mini-k400"]
SPLITS = ("train", "test", "val1", "val2", "val3", "validation")
SIDE_PIXELS = 64
NUM_FRAMES = 16
FRAMES_PER_SECOND = 8
# Encoding lets go of Python's lock.
_THREADS = 4


def class_names() -> list[str]:
    """All 24 classes of mini-k400."""
    return MINI_K400.class_names


def write_clips(
    folder: Path,
    classes: Sequence[str],
    clips_per_class: Mapping[str, int],
    seed: int,
    dataset: MiniDataset = MINI_K400,
) -> list[Path]:
    """Write `folder/<split>/<class name>/<number>.mp4`; `clips_per_class` maps split to count."""
    wanted = [
        (split, name, number)
        for split, num_clips in clips_per_class.items()
        for name in classes
        for number in range(num_clips)
    ]
    for split in clips_per_class:
        for name in classes:
            (folder / split / name).mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(partial(_write_clip, folder, seed, dataset), wanted))


def _write_clip(folder: Path, seed: int, dataset: MiniDataset, clip: tuple[str, str, int]) -> Path:
    split, name, number = clip
    path = folder / split / name / f"{number:03d}.mp4"
    write_mp4(path, draw_clip(name, split=split, number=number, seed=seed, dataset=dataset))
    return path


def draw_clip(
    name: str, *, split: str, number: int, seed: int, dataset: MiniDataset = MINI_K400
) -> NDArray[np.uint8]:
    """The frames of one clip, `[frame height width 3]` uint8."""
    shape, motion = name.split(" ", 1)
    key = [seed, SPLITS.index(split), dataset.class_names.index(name), number]
    rng = np.random.default_rng([*key, dataset.number] if dataset.number else key)
    if shape == ANY_SHAPE:
        shape = rng.choice(list(SHAPES))
    seconds = np.arange(NUM_FRAMES, dtype=np.float32) / FRAMES_PER_SECOND
    turn = 2 * np.pi * (seconds * rng.uniform(0.5, 0.9) + rng.uniform())
    scene = dataset.look(still_scene(rng, shape, NUM_FRAMES), rng)
    return draw(MOTIONS[motion](scene, turn.astype(np.float32), rng), SIDE_PIXELS, rng)


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
