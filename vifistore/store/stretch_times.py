"""Which part of its file a row of a dataset is: its start and its end, in seconds."""

from typing import TYPE_CHECKING

import numpy as np

from vifistore.errors import UsageError
from vifistore.store.recipe import digest_of
from vifistore.store.schema import STRETCH_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

# Added to a number, it makes -0.0 the 0.0 that it is equal to, and that has another digest.
NO_SIGN = 0.0


def checked_stretches(videos: "pd.DataFrame") -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends of a table of videos, float64 [video]. Raises UsageError for one that is
    none, and for times that are no numbers."""
    starts, ends = (_seconds(videos, name) for name in STRETCH_COLUMNS)
    # A row without times is a whole video; one with an end alone is none.
    starts = np.where(np.isnan(starts) & np.isnan(ends), 0.0, starts) + NO_SIGN
    _require_stretches(starts, ends)
    return starts, ends


def _seconds(videos: "pd.DataFrame", name: str) -> np.ndarray:
    """Times of a column, float64 [video]; the fill value where there is none of that name."""
    if name not in videos:
        return np.full(len(videos), STRETCH_COLUMNS[name].fill)
    try:
        return videos[name].to_numpy(np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{name} is not a number in every row ({error}); give seconds") from error


def _require_stretches(starts: np.ndarray, ends: np.ndarray) -> None:
    """Raise UsageError as `write_videos` does."""
    wrong = np.flatnonzero(wrong_stretches(starts, ends))
    if len(wrong):
        row = wrong[0]
        raise UsageError(
            f"row {row} is from {starts[row]:g} to {ends[row]:g} seconds of its video; give a "
            "start of 0 or more, and an end behind it or none"
        )


def wrong_stretches(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Which stretches, given by their float64 [video] seconds, no video can have: bool [video]."""
    has_wrong_end = ~np.isnan(ends) & ~((ends > starts) & np.isfinite(ends))
    return ~(np.isfinite(starts) & (starts >= 0)) | has_wrong_end


def are_parts(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Which stretches, given by their float64 [video] seconds, are not the whole video: bool
    [video]."""
    return (starts != 0) | ~np.isnan(ends)


def content_key(digest: str, start: float, end: float) -> str:
    """What tells the content of a row apart: the digest of its file, of a stretch one of that, its
    start and its end."""
    if start == 0 and np.isnan(end):
        return digest
    return digest_of([digest, float(start) + NO_SIGN, None if np.isnan(end) else float(end)])
