"""Rows of a feature set that may still be growing."""

import numpy as np

from vifistore.store.block_ranges import block_rows, stretches
from vifistore.store.features import Features
from vifistore.store.schema import BLOCK_SIZE, TODO


def read_covered(
    features: Features, name: str, status: np.ndarray, start: int, stop: int
) -> np.ndarray:
    """Read rows [start, stop) of an array, [video ...], checksums verified, as far as written.

    Blocks that are to do altogether are filled, not read: a kill may have left them torn. Raises
    DamagedError for damage in any other, and for a chunk of it that is lost.
    """
    if features.sealed:
        return features.read(name, start, stop)
    spec, axes = features.specs[name], ()
    if len(spec.axes) > 1:
        axes = features.dataset.backend.layout(f"{features.path}/{name}").shape[1:]
    parts = []
    for low, high in stretches(start, stop):
        block = block_rows(low // BLOCK_SIZE, len(status))
        if (status[block.start : block.stop] == TODO).all():
            kind = object if spec.dtype == "str" else spec.dtype
            parts.append(np.full((high - low, *axes), spec.fill, kind))
        else:
            # Its status came last, so that everything else of the block was written.
            parts.append(features.read(name, low, high, may_lack=False))
    return np.concatenate(parts)
