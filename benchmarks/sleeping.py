"""An encoder that sleeps in the place of a GPU, and writes its blocks as extraction does."""

import itertools
import time
from dataclasses import dataclass

import numpy as np

from vifistore.extract.row_sources import NotedWriter, RowSource
from vifistore.store.committer import BlockCommitter
from vifistore.store.schema import BLOCK_SIZE
from vifistore.store.store import open_store
from vifistore.store.writer import FeatureWriter, Shape


@dataclass(frozen=True, kw_only=True)
class Trial:
    """So many encoders at work on the sets of one store, one set after the other."""

    url: str
    actors: int
    seconds: float
    """Seconds that an encoder takes for a block."""
    num_videos: int
    frames: int
    dim: int
    repeats: int
    """How many sets."""

    @property
    def shape(self) -> Shape:
        """Axes of the sets."""
        return Shape(video=self.num_videos, view=1, frame=self.frames, dim=self.dim)


def writer_of(trial: Trial, number: int) -> FeatureWriter:
    """What writes the set of a trial that has this number."""
    recipe = {"image_digest": str(number), "frames": trial.frames, "clips": 1, "numerics": 1}
    dataset = open_store(trial.url, mode="a").dataset("d")
    return FeatureWriter(dataset, recipe, trial.shape, {"host": "benchmark"})


def encode(
    writer: FeatureWriter, source: RowSource, data: dict[str, np.ndarray], seconds: float
) -> None:
    """Take the blocks that a source gives, sleep for each, and have it written."""
    with BlockCommitter(NotedWriter(writer, source)) as committer:
        for block, rows in itertools.groupby(source, lambda row: row // BLOCK_SIZE):
            time.sleep(seconds)
            committer.add(block, list(rows), data)
