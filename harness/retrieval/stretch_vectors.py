"""What a stretch of a video looks like: the mean of its cached frames, as a query.

    VIDEO              a video of the store by its id, its path, or DATASET/ID
    VIDEO@12.5-20      the frames of its file at 12.5 <= t < 20 seconds
    VIDEO@12.5-        those from 12.5 seconds on

A path that is that of several rows, as of a film in stretches, is the whole film.
"""

import math
import re
from typing import NamedTuple

import numpy as np

from harness.fusion import is_usable, unit
from harness.vector_reading import read_frames, require_usable
from vifistore.errors import UsageError, short
from vifistore.store.features import Features

_STRETCH = re.compile(r"(.+)@(\d{1,9}(?:\.\d*)?)-(\d{1,9}(?:\.\d*)?)?", re.DOTALL)


class NamedStretch(NamedTuple):
    """A part of a video by its name, and the seconds of its file between which it lies."""

    video: str
    start: float
    end: float


def stretch_of(text: str) -> NamedStretch | None:
    """What `VIDEO@START-END` says; None for a text that is no such thing.

    Raises UsageError for a stretch that ends where it begins, or before.
    """
    match = _STRETCH.fullmatch(text)
    if match is None:
        return None
    start, end = float(match[2]), math.inf if match[3] is None else float(match[3])
    if start >= end:
        raise UsageError(
            f"{short(text)} ends at {end:g} seconds and begins at {start:g}; give VIDEO@START-END "
            "in seconds, the end behind the start"
        )
    return NamedStretch(match[1], start, end)


def stretch_vector(features: Features, rows: np.ndarray, stretch: NamedStretch) -> np.ndarray:
    """The mean of the frames of `rows`, int64 [row], of one file, in a stretch, at unit length:
    float32 [dim], as the vector of a video is that of all its frames.

    Rows that overlap have some frames in common, which count once. Raises UsageError where no frame
    lies in the stretch, and for a set without frames.
    """
    features.require_array("timestamps")
    total, seen, known = np.zeros(features.view_mean.shape[-1]), set(), []
    for positions, frames, counts in read_frames(features, rows):
        here = rows[positions]
        require_usable(is_usable(frames) | ~counts, here, features, "frames")
        seconds = features.read_chosen("timestamps", here).astype(np.float64)
        known.append(seconds[counts])
        inside = counts & (seconds >= stretch.start) & (seconds < stretch.end)
        for row, view, frame in np.argwhere(inside).tolist():
            at = view, seconds[row, view, frame]
            if at not in seen:
                seen.add(at)
                total += frames[row, view, frame]
    if not seen:
        raise UsageError(_no_frame(stretch, np.concatenate(known)))
    return unit(total)


def _no_frame(stretch: NamedStretch, seconds: np.ndarray) -> str:
    begin, end = stretch.start, min(stretch.end, float(seconds.max()))
    middle = (begin + max(begin, end)) / 2
    nearest = seconds[np.abs(seconds - middle).argmin()]
    return (
        f"no cached frame of {short(stretch.video)} lies from {begin:g} to {stretch.end:g} seconds "
        f"(the nearest is at {nearest:.2f}); take a longer stretch, or extract more frames"
    )
