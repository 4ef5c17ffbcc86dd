"""Stores of generated embeddings, whose values mean nothing, for the scripts here to read."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from unittest import mock

import numpy as np
import pandas as pd

from vifistore.store.committer import BlockCommitter
from vifistore.store.dataset import Dataset, write_videos
from vifistore.store.pooling import pool_views
from vifistore.store.schema import DONE, FEATURE_ARRAYS, VIDEO_COLUMNS
from vifistore.store.writer import FeatureWriter, Shape

Arrays = dict[str, np.ndarray]


def add_videos(dataset: Dataset, labels: Sequence[str], class_names: list[str]) -> None:
    """Write a dataset of one video a label; of its table only ids and labels mean anything."""
    numbers = np.arange(len(labels))
    names = [f"video{number:08d}.mp4" for number in numbers]
    columns = {name: numbers.astype(s.dtype) for name, s in VIDEO_COLUMNS.items() if s.fill != ""}
    videos = pd.DataFrame({**columns, "id": names, "path": names, "label": labels})
    write_videos(dataset, videos, class_names, "/videos")


def write_set(
    dataset: Dataset,
    shape: Shape,
    make: Callable[[list[int]], Arrays],
    image_digest: str = "random",
    arrays: Iterable[str] = tuple(FEATURE_ARRAYS),
) -> FeatureWriter:
    """Write every block of a feature set, as an extraction does; it is left to be sealed.

    `make` gives the arrays of a block's rows, those of FEATURE_ARRAYS that are in `arrays`.
    """
    recipe = {"image_digest": image_digest, "frames": shape.frame, "clips": 1, "numerics": 1}
    writer = FeatureWriter(dataset, recipe, shape, {"host": "benchmark"}, arrays=arrays)
    writer.claim(blocks := writer.todo_blocks())
    with BlockCommitter(writer) as committer:
        for block in blocks:
            rows = list(writer.block_rows(block))
            committer.add(block, rows, make(rows))
    return writer


def repeated(block: Arrays) -> Callable[[list[int]], Arrays]:
    """For `write_set`: the same arrays for every block."""
    return lambda rows: {name: values[: len(rows)] for name, values in block.items()}


def block_arrays(frames: np.ndarray) -> Arrays:
    """All arrays of a block whose videos are done, from frames [video view frame dim]."""
    frames = frames.astype(np.float16)
    mean, consensus = pool_views(frames)
    num_videos = len(frames)
    empty = np.full(num_videos, "", object)
    return {
        "frames": frames,
        "view_mean": mean,
        "view_consensus": consensus,
        "timestamps": np.zeros(frames.shape[:3], np.float32),
        "content_digest": np.full(num_videos, "0" * 64, object),
        "reason": empty,
        "message": empty,
        "attempts": np.ones(num_videos, np.uint8),
        "status": np.full(num_videos, DONE, np.uint8),
    }


def random_block(num_videos: int, num_frames: int, dim: int) -> Arrays:
    """The arrays of a block of random frames, one view a video."""
    shape = (num_videos, 1, num_frames, dim)
    return block_arrays(np.random.default_rng(0).standard_normal(shape, np.float32))


@contextmanager
def unsynced() -> Iterator[None]:
    """Write without waiting for the disk: nothing that is generated has to survive a power cut."""
    with mock.patch.object(os, "fsync"):
        yield
