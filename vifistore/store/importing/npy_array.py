"""One .npy array of all videos, and a text file of their ids."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vifistore.errors import UsageError
from vifistore.files import read_regular
from vifistore.store.importing.source import (
    FRAME_ARRAYS,
    MEAN_ARRAYS,
    Source,
    check_float,
    check_ids,
    check_lengths,
    digest_of_files,
    imported_recipe,
    open_npy,
    table_of_ids,
)
from vifistore.store.recipe import digest_of
from vifistore.store.writer import Shape


def read_ids(path: Path) -> list[str]:
    """Read ids, one per line. Raises UsageError if there is no such text, or an id is twice."""
    try:
        ids = read_regular(path).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--ids {path} cannot be read as text ({error})") from error
    check_ids(ids, path)
    return ids


def open_npy_array(path: Path, ids: Sequence[str], said_by: str) -> Source:
    """Open embeddings `[video dim]`, `[video frame dim]` or `[video view frame dim]`.

    Those without frames are means; `said_by` is where the ids are from. Raises UsageError if sizes
    or dtypes do not fit.
    """
    if not ids:
        raise UsageError(
            f"{path} does not say which video a row is; give --ids FILE with one id per line, or "
            "--table FILE with a line per row"
        )
    array = open_npy(path)
    check_float(array.dtype, path)
    if array.ndim not in (2, 3, 4):
        raise UsageError(
            f"{path} has shape {array.shape}; give [video dim], [video frame dim] or "
            "[video view frame dim]"
        )
    check_lengths(array.shape, path)
    if len(array) != len(ids):
        raise UsageError(f"{path} has {len(array)} rows but {said_by} {len(ids)} ids; give as many")
    shape = _shape(array)
    name, arrays = ("frames", FRAME_ARRAYS) if shape.frame else ("view_mean", MEAN_ARRAYS)
    axes = (shape.view, shape.frame, shape.dim) if shape.frame else (shape.view, shape.dim)
    digest = digest_of([digest_of_files([path], path.parent), list(ids)])
    return Source(
        path=path,
        recipe=imported_recipe("npy", path, digest, shape),
        is_original=False,
        videos=table_of_ids(ids),
        class_names=[],
        shape=shape,
        arrays=arrays,
        read=lambda start, stop: {name: np.asarray(array[start:stop]).reshape(-1, *axes)},
    )


def _shape(array: np.ndarray) -> Shape:
    num_videos, *middle, dim = array.shape
    view = middle[0] if len(middle) == 2 else 1
    return Shape(video=num_videos, view=view, frame=middle[-1] if middle else 0, dim=dim)
