"""One .npy array of all videos, and a text file of their ids."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vifistore.errors import UsageError
from vifistore.files import read_regular
from vifistore.store.importing.import_source import (
    ImportSource,
    check_ids,
    digest_of_files,
    foreign_source,
    open_embeddings,
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


def open_npy_array(path: Path, ids: Sequence[str], said_by: str) -> ImportSource:
    """Open embeddings `[video dim]`, `[video frame dim]` or `[video view frame dim]`.

    Those without frames are means; `said_by` is where the ids are from. Raises UsageError if sizes
    or dtypes do not fit.
    """
    if not ids:
        raise UsageError(
            f"{path} does not say which video a row is; give --ids FILE with one id per line, or "
            "--table FILE with a line per row"
        )
    told = "[video dim], [video frame dim] or [video view frame dim]"
    array = open_embeddings(path, [2, 3, 4], told)
    if len(array) != len(ids):
        raise UsageError(f"{path} has {len(array)} rows but {said_by} {len(ids)} ids; give as many")
    shape = _shape(array)
    name = "frames" if shape.frame else "view_mean"
    axes = (shape.view, shape.frame, shape.dim) if shape.frame else (shape.view, shape.dim)
    digest = digest_of([digest_of_files([path], path.parent), list(ids)])
    return foreign_source(
        "npy",
        *(path, digest, shape, ids),
        read=lambda start, stop: {name: np.asarray(array[start:stop]).reshape(-1, *axes)},
    )


def _shape(array: np.ndarray) -> Shape:
    num_videos, *middle, dim = array.shape
    view = middle[0] if len(middle) == 2 else 1
    return Shape(video=num_videos, view=view, frame=middle[-1] if middle else 0, dim=dim)
