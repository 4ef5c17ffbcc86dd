"""Whether an array of a feature set is what the schema, or the set itself, says of it."""

import numpy as np

from vifistore.store.schema import ArraySpec
from vifistore.store.zarr_format.layout import Grid, Layout

_TEXT, _FLOAT, _WHOLE = "OTU", "f", "iu"


def wrong_numbers(spec: ArraySpec, grid: Grid, dtype: np.dtype) -> str:
    """What is wrong with the numbers or texts of an array; empty for nothing.

    Another program may store numbers of another size, but no texts or whole numbers for embeddings.
    """
    is_text = spec.dtype == "str"
    kinds = _TEXT if is_text else _FLOAT if np.dtype(spec.dtype).kind == "f" else _WHOLE
    is_exact = is_text or not isinstance(grid, Layout) or dtype == np.dtype(spec.dtype)
    return "" if dtype.kind in kinds and is_exact else f"it holds {dtype}, not {spec.dtype}"


def wrong_array(spec: ArraySpec, grid: Grid, dtype: np.dtype, num_videos: int) -> str:
    """What is wrong with an array that covers at least so many videos; empty for nothing."""
    if len(grid.shape) != len(spec.axes):
        return f"its axes are not {spec.axes}"
    if grid.shape[0] < num_videos:
        return f"it has {grid.shape[0]} videos, {num_videos} were sealed"
    return wrong_numbers(spec, grid, dtype)
