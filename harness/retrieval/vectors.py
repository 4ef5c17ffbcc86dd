"""The one vector of a video that is searched: unit length, so that a product is a cosine.

    v = u / |u|,   u = mean over views of `view_mean`

Quarantined videos, and those still to do, have none.
"""

from collections.abc import Iterator

import numpy as np

from harness.fusion import unit
from harness.vector_reading import read_vectors
from vifistore.store.features import Features
from vifistore.store.schema import DONE


def searchable_rows(features: Features) -> np.ndarray:
    """Rows of the videos that have embeddings, int64 [video]."""
    return np.flatnonzero(features.read_status() == DONE)


def video_vectors(features: Features, rows: np.ndarray) -> np.ndarray:
    """Vectors of `rows` in their order, float32 [video dim] of unit length.

    Raises DamagedError for embeddings that do not match their checksum, are zero or not finite.
    """
    vectors = np.empty((len(rows), features.view_mean.shape[-1]), np.float32)
    for positions, part in vector_blocks(features, rows):
        vectors[positions] = part
    return vectors


def vector_blocks(features: Features, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (positions, vectors): float32 [video dim] belong to `rows[positions]`."""
    for positions, views in read_vectors(features, "view_mean", rows):
        yield positions, unit(views.mean(axis=1))
