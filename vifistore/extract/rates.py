"""How many frames a feature set has room for, where a rate decides how many each row has."""

import math
from dataclasses import replace
from typing import TypeVar

import numpy as np

from vifistore.errors import UsageError, shell
from vifistore.extract.extract_settings import EncodeSettings, ExtractSettings
from vifistore.models.encoders import CLIP, LoadedModel
from vifistore.store.dataset import Dataset
from vifistore.store.recipe import Recipe
from vifistore.store.schema import MOST_FRAMES
from vifistore.store.stretch_times import are_parts

Settings = TypeVar("Settings", bound=EncodeSettings)

# Where the longest row needs so many times the median's frames, most of the set would be padding.
_MOST_TIMES_MEDIAN = 4
# By how much the last window of a file may be longer than the others: see `vifi scan --window`.
_TINY_SECONDS, _TINY_PART = 0.5, 0.1


def frames_needed(dataset: Dataset, settings: EncodeSettings) -> np.ndarray:
    """How many frames each row has at the rate, by what the scan read of its file, int64 [video]; 0
    where that is not known."""
    names = ("start_seconds", "end_seconds", "duration_seconds", "num_frames", "fps")
    columns = dataset.columns_at_once(*names)
    starts, ends, lengths, counts, rates = (columns[name] for name in names)
    rates = np.where((rates <= 0) & (lengths > 0), counts / np.maximum(lengths, 1e-9), rates)
    lengths = np.where((lengths <= 0) & (rates > 0), counts / np.maximum(rates, 1e-9), lengths)
    known = np.where(lengths > 0, lengths, np.inf)
    seconds = np.fmin(ends, known) - starts
    if settings.every:
        are_cut = are_parts(starts, ends)
        held = np.array(counts, np.float64)
        held[are_cut] = seconds[are_cut] * np.where(rates > 0, rates, np.nan)[are_cut]
        needed = np.ceil(held / settings.every) + are_cut
    else:
        needed = np.ceil(seconds * (settings.fps or 0) - 0.5)
    is_known = np.isfinite(needed) & ((counts > 0) | np.isfinite(seconds))
    # A header may claim any length.
    return np.where(is_known, needed.clip(1, 2**62), 0).astype(np.int64)


def with_room(dataset: Dataset, settings: Settings, loaded: LoadedModel) -> Settings:
    """The settings with --frames for the longest row, where a rate decides how many a row has.

    Raises UsageError for an encoder that sees frames together, for rows of very different lengths
    and for more frames than can be counted.
    """
    if not settings.has_rate:
        return settings
    if loaded.kind == CLIP:
        raise UsageError(
            f"{loaded.model} sees the frames of a view together, always as many, and "
            f"{settings.rate} gives each row as many as it is long; give --frames in its place"
        )
    needed = frames_needed(dataset, settings)
    if settings.frames is not None:
        _require_room(dataset, settings, needed, settings.frames)
        return settings
    if not needed.any():
        raise UsageError(
            f"how long the videos of {dataset.name} are is not known, so neither is the number of "
            f"frames at {settings.rate}; give --frames, the most that one may have"
        )
    _require_even(dataset, settings, needed)
    return replace(settings, frames=max(int(needed.max()), _of_window(dataset, settings)))


def _of_window(dataset: Dataset, settings: EncodeSettings) -> int:
    """Frames of the longest stretch whose end is known, and of what may join the last of a file."""
    starts, ends = dataset.stretches()
    if not settings.fps or not np.isfinite(ends).any():
        return 1
    window = float(np.nanmax(ends - starts))
    window += min(_TINY_SECONDS, _TINY_PART * window)
    return min(max(1, math.ceil(window * settings.fps - 0.5)), MOST_FRAMES)


def _require_even(dataset: Dataset, settings: EncodeSettings, needed: np.ndarray) -> None:
    longest, median = int(needed.max()), float(np.median(needed[needed > 0]))
    if longest <= min(_MOST_TIMES_MEDIAN * median, MOST_FRAMES):
        return
    source = dataset.root()
    window = shell("vifi", "scan", dataset.store.path, source, "--dataset", f"{dataset.name}-30s")
    raise UsageError(
        f"the longest row of {dataset.name} has {longest} frames at {settings.rate} (row "
        f"{int(needed.argmax())}), half of all at most {median:g}: most would be padding; "
        f"give --frames {longest} nonetheless, or cut long videos: {window} --window 30"
    )


def _require_room(
    dataset: Dataset, settings: EncodeSettings, needed: np.ndarray, room: int
) -> None:
    """Raise UsageError if a row has more frames than there is room for."""
    longer = np.flatnonzero(needed > room)
    if len(longer):
        raise UsageError(
            f"{len(longer)} rows of {dataset.name} have more than {room} frames at {settings.rate} "
            f"(first: row {longer[0]}, {needed[longer[0]]}); give --frames {needed.max()} for a "
            "feature set with room for them, or cut long videos: vifi scan --window SECONDS"
        )


def with_room_of_before(
    dataset: Dataset, settings: ExtractSettings, asked: ExtractSettings, recipe: Recipe
) -> ExtractSettings:
    """The settings with as much room as the feature set that they go on with, if there is one.

    Raises UsageError where rows were added that have more frames than it has room for.
    """
    if not settings.has_rate or asked.frames is not None:
        return settings
    rest = {**recipe.as_dict(), "frames": 0, "precision": ""}
    rooms = {}
    for feature_id in dataset.feature_ids():
        found = dataset.features(feature_id).recipe
        if {**found, "frames": 0, "precision": ""} == rest:
            rooms[found["frames"]] = feature_id
    if not rooms:
        return settings
    needed = frames_needed(dataset, settings)
    enough = [room for room in rooms if room >= needed.max()]
    if enough:
        return replace(settings, frames=min(enough))
    room = max(rooms)
    raise UsageError(
        f"{int((needed > room).sum())} rows of {dataset.name} (first: row "
        f"{int((needed > room).argmax())}) have more than the {room} frames that feature set "
        f"{rooms[room]} has room for: cut what was added by vifi scan --window, or encode all "
        f"anew under another --name with --frames {needed.max()}"
    )
