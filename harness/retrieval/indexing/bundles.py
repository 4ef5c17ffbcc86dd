"""Bundles: neighbouring frames of a view that are so alike that one vector stands for them.

A bundle goes on while the next frame x has, with the mean m of those in it,

    x . m / |m| >= 0.93

Frames of one shot are that alike at one frame a second, of different shots they are not. Whatever a
query q is, no frame of a bundle is farther from its mean than |q . x - q . m| <= |x - m|; which
bundles are looked at frame by frame is measured, see `harness.retrieval.indexing.bundle_index`.
"""

from typing import NamedTuple

import numpy as np

from harness.retrieval.frame_vectors import FrameVectors

ALIKE = 0.93
"""The least cosine of a frame with the mean of its bundle."""
MOST_FRAMES = 32
"""Of a bundle: each is looked at where its bundle is."""


class Bundles(NamedTuple):
    """Bundles in the order of videos and positions."""

    places: np.ndarray
    """int32 [bundle 3]: row, first position, number of frames."""
    means: np.ndarray
    """float32 [bundle dim]: of frames of unit length; shorter than 1."""


def bundles_of(frames: FrameVectors, num_frames: int) -> Bundles:
    """The bundles of frames in order, of videos whose views hold `num_frames`."""
    views = frames.positions // num_frames
    begins = np.flatnonzero(np.diff(frames.rows, prepend=-1) | np.diff(views, prepend=-1))
    lengths = np.diff(begins, append=len(views))
    is_first = np.zeros(len(views), bool)
    is_first[begins] = True
    sums = frames.vectors[begins]
    sizes = np.ones(len(begins), np.int64)
    for step in range(1, int(lengths.max())):
        open_views = np.flatnonzero(lengths > step)
        numbers = begins[open_views] + step
        here, so_far = frames.vectors[numbers], sums[open_views]
        cosines = np.einsum("vd,vd->v", here, so_far) / np.linalg.norm(so_far, axis=1)
        ends = (cosines < ALIKE) | (sizes[open_views] >= MOST_FRAMES)
        is_first[numbers] = ends
        sums[open_views] = np.where(ends[:, None], here, so_far + here)
        sizes[open_views] = np.where(ends, 1, sizes[open_views] + 1)
    firsts = np.flatnonzero(is_first)
    counts = np.diff(firsts, append=len(views))
    means = np.add.reduceat(frames.vectors, firsts, axis=0) / counts[:, None]
    places = np.stack([frames.rows[firsts], frames.positions[firsts], counts], axis=1)
    return Bundles(places.astype(np.int32), means.astype(np.float32, copy=False))
