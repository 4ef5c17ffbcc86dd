"""Choose videos of a feature set by id, split, class or row, and read them at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vifistore.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from vifistore.store.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Videos of a feature set, in the order asked for; every array has one entry per video."""

    rows: np.ndarray
    """int64 [video]: rows of the dataset's table of videos."""
    ids: np.ndarray
    """object [video]: ids of the videos."""
    labels: np.ndarray
    """object [video]: names of their classes, as the split has them if one was given; else empty
    where a video is not labelled."""
    status: np.ndarray
    """uint8 [video]: 1 done, 0 to do, 2 quarantined; the arrays of the last two hold NaN."""
    arrays: dict[str, np.ndarray]
    """By name: frames [video view frame dim], view_mean [video view dim], ..."""


def choose_rows(
    dataset: "Dataset",
    num_videos: int,
    *,
    ids: Sequence[str] | None,
    split: str,
    label: str,
    rows: Iterable[int] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows int64 [video] and labels object [video] of what `Features.select` is asked for.

    Raises UsageError for more than one of ids, split and rows, for rows that are no whole numbers,
    and for videos outside of the first `num_videos`; UnknownNameError for an unknown id, split or
    label.
    """
    if sum([ids is not None, bool(split), rows is not None]) > 1:
        raise UsageError("give one of ids, split and rows; label narrows any of them down")
    if split:
        found = dataset.split(split)
        chosen = found.rows
        # One more, which -1 means: a video that the split does not label.
        labels = np.array([*found.class_names, ""], object)[found.labels]
    else:
        chosen = _rows_of(dataset, num_videos, ids, rows)
        labels = None
    _check_covered(chosen, num_videos, dataset.name)
    if labels is None:
        labels = dataset.column("label")[chosen]
    if label:
        chosen, labels = _with_label(chosen, labels, label)
    return chosen, labels


def _rows_of(
    dataset: "Dataset",
    num_videos: int,
    ids: Sequence[str] | None,
    rows: Iterable[int] | None,
) -> np.ndarray:
    if ids is None:
        return np.arange(num_videos) if rows is None else _row_numbers(rows)
    index = {name: row for row, name in enumerate(dataset.column("id"))}
    if missing := [name for name in ids if name not in index]:
        raise UnknownNameError(f"video of {dataset.name}", missing[0], index)
    return np.array([index[name] for name in ids], np.int64)


def _row_numbers(rows: Iterable[int]) -> np.ndarray:
    """int64 [video]. Raises UsageError for what is no row: a mask would read rows 0 and 1."""
    found = np.array(list(rows))
    if len(found) and found.dtype.kind not in "iu":
        raise UsageError("rows are whole numbers; of a mask give numpy.flatnonzero(mask)")
    return found.astype(np.int64)


def _check_covered(rows: np.ndarray, num_videos: int, dataset: str) -> None:
    outside = rows[(rows < 0) | (rows >= num_videos)]
    if len(outside):
        raise UsageError(
            f"row {outside[0]} of {dataset} is not among the {num_videos} videos of this feature "
            "set; choose others, or run vifi extract again"
        )


def _with_label(rows: np.ndarray, labels: np.ndarray, label: str) -> tuple[np.ndarray, np.ndarray]:
    chosen = labels == label
    if not chosen.any():
        raise UnknownNameError("label among these videos", label, set(labels) - {""})
    return rows[chosen], labels[chosen]
