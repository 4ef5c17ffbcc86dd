"""Generated frames of videos as CLIP's lie, and texts that ask for them, for benchmarks of search.

A frame is the unit vector of

    cone * axis + spread * unit(cluster + video + shot + drift + its own)

All frames share `axis`, which makes their cone: two of different videos have a cosine of about
cone^2. A video lies around one of the clusters, or around none; it has a few shots, and within a
shot its frames drift, each step a small one from the frame before. Everything but the axis has a
spectrum that decays, so that few of the dimensions hold most of the variance, as in CLIP's.

A text is off that cone: most of it is a direction of its own, orthogonal to the frames' axis (the
gap between the modalities, arXiv:2203.02053), some is noise of all dimensions, and a part,
`meaning`, is where a frame lies within the cone. With the text of it a frame has a cosine of about
meaning * spread = 0.26, as CLIP's pairs have.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from harness.fusion import unit

_BLOCK = 64


@dataclass(frozen=True, kw_only=True)
class DriftingFrames:
    """So many videos; the same seed makes the same frames, in blocks of 64 videos."""

    num_videos: int
    num_frames: int = 60
    dim: int = 512
    num_clusters: int = 2000
    """Clusters of videos; 0 for videos that lie around nothing but the axis."""
    seed: int = 0
    cone: float = 0.75
    """Length along the axis that all share; what varies has sqrt(1 - cone^2)."""
    meaning: float = 0.4
    """Length of a text along what it asks for."""
    gap: float = 0.6
    """Length of a text along the direction that all texts share."""

    @cached_property
    def _axes(self) -> tuple[np.ndarray, np.ndarray]:
        """The frames' axis and the texts', float32 [dim], orthogonal and of unit length."""
        axes = self._generator(0).standard_normal((self.dim, 2))
        frames, texts = np.linalg.qr(axes)[0].T.astype(np.float32)
        return frames, texts

    @cached_property
    def _deviations(self) -> np.ndarray:
        """Standard deviation of each dimension, float32 [dim], their squares adding up to 1."""
        decaying = np.arange(1, self.dim + 1, dtype=np.float32) ** -0.4
        return decaying / np.linalg.norm(decaying)

    @cached_property
    def _centres(self) -> np.ndarray:
        """float32 [cluster dim]"""
        shape = self.num_clusters, self.dim
        return self._generator(1).standard_normal(shape, np.float32) * self._deviations

    def _generator(self, *numbers: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *numbers])

    def block(self, number: int) -> np.ndarray:
        """The frames of a block of 64 videos, or of what is left, float32 [video frame dim]."""
        count = min(_BLOCK, self.num_videos - number * _BLOCK)
        draw = self._generator(2, number)
        videos = draw.standard_normal((count, self.dim), np.float32) * self._deviations
        if self.num_clusters:
            videos = 0.7 * videos + self._centres[draw.integers(0, self.num_clusters, count)]
        content = unit(videos[:, None] + self._within_videos(draw, count))
        frames_axis, _ = self._axes
        return unit(self.cone * frames_axis + math.sqrt(1 - self.cone**2) * content)

    def _within_videos(self, draw: np.random.Generator, count: int) -> np.ndarray:
        """How frames differ from their video, float32 [video frame dim]."""
        shape = count, self.num_frames, self.dim
        steps = draw.standard_normal(shape, np.float32) * (0.08 * self._deviations)
        # A shot of twelve frames on average begins with what has nothing to do with the one before.
        cuts = draw.random((count, self.num_frames)) < 1 / 12
        cuts[:, 0] = True
        steps[cuts] *= 0.5 / 0.08
        drift = np.cumsum(steps, axis=1)
        own = draw.standard_normal(shape, np.float32) * (0.36 * self._deviations)
        starts = np.maximum.accumulate(np.where(cuts, np.arange(self.num_frames), 0), axis=1)
        # What came before a shot is taken off, its own first step is kept.
        before = np.take_along_axis(drift - steps, starts[..., None], axis=1)
        return drift - before + own

    def texts(self, count: int, seed: int = 0) -> np.ndarray:
        """Queries that ask for frames drawn from all, float32 [query dim] of unit length."""
        draw = self._generator(3, seed)
        numbers = np.sort(draw.integers(0, -(-self.num_videos // _BLOCK), count))
        frames_axis, texts_axis = self._axes
        meant = np.empty((count, self.dim), np.float32)
        for number in np.unique(numbers):
            block = self.block(int(number)).reshape(-1, self.dim)
            chosen = np.flatnonzero(numbers == number)
            meant[chosen] = block[draw.integers(0, len(block), len(chosen))]
        content = unit(meant - (meant @ frames_axis)[:, None] * frames_axis)
        noise = draw.standard_normal((count, self.dim), np.float32) / math.sqrt(self.dim)
        rest = math.sqrt(max(0.0, 1 - self.gap**2 - self.meaning**2))
        return unit(self.gap * texts_axis + self.meaning * content + rest * noise)
