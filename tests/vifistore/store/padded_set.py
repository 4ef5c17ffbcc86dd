"""A set whose views have fewer frames than it holds of them, and tokens beside its frames."""

import numpy as np

from tests.support import block_data, plain_recipe, video_table
from vifistore.store.dataset import write_videos
from vifistore.store.feature_record import FRAME_COUNTS, FurtherArray
from vifistore.store.names import set_name
from vifistore.store.pooling import pool_views
from vifistore.store.store import create_store
from vifistore.store.writer import FeatureWriter, Shape

NUM_VIDEOS = 70
SHAPE = Shape(video=NUM_VIDEOS, view=2, frame=4, dim=8)
TOKENS = FurtherArray(dtype="float32", axes=("token", "dim"), lengths=(3, 8))
FURTHER = {"num_valid": FRAME_COUNTS, "tokens": TOKENS}
CLASSES = ["run", "jump"]


def counts_of(rows):
    """uint16 [video view], from 1 to 4."""
    return (np.add.outer(np.asarray(rows), [0, 1]) % 4 + 1).astype(np.uint16)


def padded(rows):
    """What a block of rows holds whose views have fewer frames."""
    frames = np.random.default_rng(1).normal(size=(NUM_VIDEOS, 2, 4, 8)).astype(np.float16)[rows]
    counts = counts_of(rows)
    frames[np.arange(4) >= counts[..., None]] = 0
    mean, consensus = pool_views(frames, counts)
    data = {**block_data(frames), "view_mean": mean, "view_consensus": consensus}
    tokens = np.random.default_rng(2).normal(size=(NUM_VIDEOS, 2, 3, 8)).astype(np.float32)
    return {**data, "num_valid": counts, "tokens": tokens[rows]}


def new_writer(store, further=None, shape=SHAPE):
    """A writer of the set of dataset `d`."""
    recipe = plain_recipe(clips=2).as_dict()
    further = FURTHER if further is None else further
    return FeatureWriter(store.dataset("d"), recipe, shape, {"host": "test"}, further=further)


def make_padded_store(path):
    """Folder of a store with such a set, sealed and called `mine`."""
    store = create_store(path)
    write_videos(store.new_dataset("d"), video_table(NUM_VIDEOS, CLASSES), CLASSES, "/videos")
    writer = new_writer(store)
    for block in writer.todo_blocks():
        writer.write_block(block, rows := writer.todo_rows(block), padded(rows))
    writer.seal()
    set_name(store.dataset("d"), "mine", writer.id, "", force=False)
    writer.release()
    return store.path
