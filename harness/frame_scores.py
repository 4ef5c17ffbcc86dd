"""Scores of fusions that read frames, of views that may have fewer than a set has room for.

What pads a view is left out: a view of n frames scores as one of a set of n frames does.
"""

from collections.abc import Callable, Iterator

import numpy as np

from harness.fusion import is_usable
from harness.vector_reading import read_frames, require_usable
from vifistore.store.features import Features

Fuse = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Frames [video view frame dim] -> scores by fusion, [video class], summed over views."""


def frame_scores(
    features: Features,
    rows: np.ndarray,
    fuse: Fuse,
    frames: np.ndarray | None = None,
    views: np.ndarray | None = None,
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Yield (positions, scores by fusion [video class]) of `rows[positions]`.

    `frames` and `views` are indexes of those to use, all if None; of a view with fewer frames than
    there is room for, frames are those at the same places of its length. Raises DamagedError for a
    frame that is zero or not finite, and does not pad a view.
    """
    for positions, read, counts in read_frames(features, rows):
        # Once, for the look and for every fusion.
        found = read.astype(np.float32)
        usable = is_usable(found) | ~counts
        require_usable(usable, np.asarray(rows)[positions], features, "frames")
        lengths, room = counts.sum(axis=2), found.shape[2]
        if views is not None:
            found, lengths = found[:, views], lengths[:, views]
        if (lengths == room).all():
            yield positions, fuse(found if frames is None else found[:, :, frames])
        else:
            yield positions, _summed(found, lengths, fuse, frames)


def _summed(
    found: np.ndarray, lengths: np.ndarray, fuse: Fuse, frames: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Scores of frames [video view frame dim], of which so many count, [video view]: views of equal
    length together."""
    scores: dict[str, np.ndarray] = {}
    for view in range(lengths.shape[1]):
        for count in np.unique(lengths[:, view]).tolist():
            here = lengths[:, view] == count
            places = _places(frames, count, found.shape[2])
            for name, part in fuse(found[here, view : view + 1][:, :, places]).items():
                whole = scores.setdefault(name, np.zeros((len(found), part.shape[1]), np.float32))
                whole[here] += part
    return scores


def _places(frames: np.ndarray | None, count: int, room: int) -> np.ndarray:
    """Which of the `count` frames of a view are taken, each once, of those that are chosen of
    `room`."""
    if frames is None:
        return np.arange(count)
    return np.unique(((2 * frames + 1) * count) // (2 * room))
