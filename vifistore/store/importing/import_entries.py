"""Entries of a source, complete and checked: what a block of the store is made of."""

from collections.abc import Callable

import numpy as np

from vifistore.errors import DamagedError, UsageError
from vifistore.store.feature_record import NUM_VALID
from vifistore.store.importing.import_source import ImportSource
from vifistore.store.pooling import pool_views, wrong_counts
from vifistore.store.schema import DONE, QUARANTINE_REASONS, QUARANTINED, TODO

# Float32 sums in another order differ by some 1e-7 of the largest value.
_RELATIVE = 1e-5

# Absent from the file that was imported; a reason of QUARANTINE_REASONS.
_MISSING = {"reason": "missing", "message": "not in the file that was imported"}

# Bytes of frames that are looked at in one go.
_SPAN_BYTES = 64 * 2**20


def read_entries(source: ImportSource, entries: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays [entry ...] of a source by name, for `entries` [entry]; -1 stands for a missing video.

    Frames are rounded to float16 and pooled, where the source brings no view embeddings.
    """
    data = {
        name: np.full(
            (len(entries), *axes), spec.fill, object if spec.dtype == "str" else spec.dtype
        )
        for name, (spec, axes) in source.shapes.items()
    }
    for start, stop in _runs(entries):
        if entries[start] < 0:
            data["status"][start:stop] = QUARANTINED
            for name, value in _MISSING.items():
                data[name][start:stop] = value
            continue
        found = _complete(source.read(int(entries[start]), int(entries[stop - 1]) + 1))
        # Beyond the dtype of the store is infinite, which `check_values` refuses.
        with np.errstate(over="ignore"):
            for name in found.keys() & data.keys():
                data[name][start:stop] = found[name]
    return data


def _runs(entries: np.ndarray) -> list[tuple[int, int]]:
    """Stretches [start, stop) of `entries` that rise by one, or are missing throughout."""
    missing = (entries[:-1] < 0) & (entries[1:] < 0)
    goes_on = missing | ((entries[:-1] >= 0) & (np.diff(entries) == 1))
    ends = [*(np.flatnonzero(~goes_on) + 1).tolist(), len(entries)]
    return [(start, stop) for start, stop in zip([0, *ends], ends, strict=False) if stop > start]


def _complete(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found = dict(found)
    if "frames" in found:
        with np.errstate(over="ignore"):
            found["frames"] = np.asarray(found["frames"]).astype(np.float16)
        if "view_mean" not in found:
            found["view_mean"], found["view_consensus"] = pool_views(
                found["frames"], found.get(NUM_VALID)
            )
    found.setdefault("status", np.full(len(found["view_mean"]), DONE, np.uint8))
    return found


def check_values(source: ImportSource) -> None:
    """Read every entry once and refuse numbers that no tower gives.

    Raises
    ------
    UsageError
        If an embedding is not finite in float16, or zero throughout.
    DamagedError
        If the source's own view embeddings are not those of its frames.
    """
    shape = source.shape
    entry_bytes = 4 * shape.view * max(shape.frame, 1) * shape.dim
    step = max(1, _SPAN_BYTES // entry_bytes)
    for start in range(0, shape.video, step):
        data = read_entries(source, np.arange(start, min(start + step, shape.video)))
        _check_status(source, data, start)
        done = np.flatnonzero(data["status"] == DONE)
        _check_embeddings(source, data, done, start)
        if "frames" in data:
            _check_views(source, data, done, start)


def _name(source: ImportSource, entry: int) -> str:
    return repr(source.videos["id"].iloc[entry])


def _check_status(source: ImportSource, data: dict[str, np.ndarray], start: int) -> None:
    reasons = np.isin(data["reason"].astype(str), ("", *QUARANTINE_REASONS))
    wrong = ~np.isin(data["status"], (TODO, DONE, QUARANTINED)) | ~reasons
    if wrong.any():
        name = _name(source, start + int(np.flatnonzero(wrong)[0]))
        raise DamagedError(
            f"{source.path}: status or reason of {name} is none that exists; export it again"
        )


def _check_embeddings(
    source: ImportSource, data: dict[str, np.ndarray], done: np.ndarray, start: int
) -> None:
    further = [name for name, array in source.further.items() if array.dtype.startswith("float")]
    for name in ("frames", "view_mean", "view_consensus", *further):
        if name not in data:
            continue
        values = data[name][done]
        wrong = ~_per_video(np.isfinite(values), np.all)
        # Only the mean is scored alone: a frame may be zero, and unit frames may cancel.
        if name == "view_mean":
            wrong |= ~_per_video((values != 0).any(axis=-1), np.all)
        if wrong.any():
            video = _name(source, start + int(done[np.flatnonzero(wrong)[0]]))
            raise UsageError(
                f"{source.path}: {name} of {video} is zero, not finite, or beyond float16; leave "
                "that video out or encode it again"
            )


def _check_views(
    source: ImportSource, data: dict[str, np.ndarray], done: np.ndarray, start: int
) -> None:
    frames = data["frames"][done]
    largest = _per_video(np.abs(frames), np.max).astype(np.float32)
    num_valid = data[NUM_VALID][done] if NUM_VALID in data else None
    if num_valid is not None and (wrong := wrong_counts(frames, num_valid)).any():
        video = _name(source, start + int(done[np.flatnonzero(wrong)[0]]))
        raise DamagedError(
            f"{source.path}: {NUM_VALID} of {video} does not go with its frames; export it again"
        )
    mean, consensus = pool_views(frames, num_valid)
    for name, expected, scale in (
        ("view_mean", mean, largest),
        ("view_consensus", consensus, np.ones_like(largest)),
    ):
        far = _per_video(np.abs(data[name][done] - expected), np.max)
        wrong = far > _RELATIVE * scale
        if wrong.any():
            video = _name(source, start + int(done[np.flatnonzero(wrong)[0]]))
            raise DamagedError(
                f"{source.path}: {name} of {video} is not that of its frames; export it again"
            )


def _per_video(values: np.ndarray, reduce: Callable) -> np.ndarray:
    """Reduce every axis but the first, of which there may be none."""
    return reduce(values, axis=tuple(range(1, values.ndim)))
