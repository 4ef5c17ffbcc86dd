"""Verify the values of one block of a feature set: statuses, numbers, counts, pooled views."""

from collections.abc import Iterator, Mapping

import numpy as np

from vifistore.store.feature_record import NUM_VALID
from vifistore.store.pooling import pool_views, unit_views, wrong_counts
from vifistore.store.schema import DONE, QUARANTINE_REASONS, QUARANTINED, TODO, ArraySpec

# Sums over frames in another order differ by a few roundings of float32 (6e-8 each) per frame.
_POOLING_TOLERANCE = 1e-5

Data = Mapping[str, np.ndarray]

_WORDS = {
    "status": "is not settled",
    "reason": "does not go with the status",
    NUM_VALID: "does not go with the frames",
}


def wrong_values(
    data: Data, specs: Mapping[str, ArraySpec], start: int, *, is_sealed: bool
) -> Iterator[tuple[str, str]]:
    """Yield (array, what is wrong) for `data`, arrays [video ...] of a block from row `start` on.

    `specs` are the arrays of the set; what of them cannot be read is not in `data`.
    """
    if "status" not in data:
        return
    done = data["status"] == DONE
    wrong = _wrong_rows(data, specs, is_sealed=is_sealed)
    for name, rows in wrong.items():
        if rows.any():
            first = start + int(rows.argmax())
            what = _WORDS.get(name, "is not finite")
            yield name, f"{int(rows.sum())} videos: {name} {what} (first: row {first})"
    origin = "frames" if "frames" in specs else "view_mean"
    # Where it is damaged, the rest has nothing to be compared with.
    if origin in data:
        usable = done & ~wrong[origin] & ~wrong.get(NUM_VALID, np.False_)
        yield from _wrong_views(data, usable, start)


def _wrong_rows(
    data: Data, specs: Mapping[str, ArraySpec], *, is_sealed: bool
) -> dict[str, np.ndarray]:
    """Which videos of an array are wrong by themselves, bool [video]."""
    status = data["status"]
    done = status == DONE
    wrong = {"status": ~np.isin(status, (TODO, DONE, QUARANTINED))}
    if is_sealed:
        wrong["status"] |= status == TODO
    if "reason" in data:
        known = np.isin(data["reason"].astype(object), QUARANTINE_REASONS)
        wrong["reason"] = np.where(status == QUARANTINED, ~known, data["reason"] != "")
        wrong["reason"] &= status != TODO
    for name, spec in specs.items():
        if name in data and spec.dtype.startswith("float"):
            finite = np.isfinite(data[name]).reshape(len(status), -1).all(axis=1)
            wrong[name] = done & ~finite
    if NUM_VALID in data and "frames" in data:
        wrong[NUM_VALID] = done & wrong_counts(data["frames"], data[NUM_VALID])
    return wrong


def _wrong_views(data: Data, usable: np.ndarray, start: int) -> Iterator[tuple[str, str]]:
    """Compare the view arrays with what the stored frames give, or one with the other where there
    are none; rows `usable` only."""
    if not usable.any():
        return
    rows = start + np.flatnonzero(usable)
    for name, origin, expected, scale in _expected_views(data, usable):
        error = np.abs(data[name][usable] - expected).reshape(len(rows), -1).max(axis=1)
        far = ~(error <= _POOLING_TOLERANCE * scale)
        if far.any():
            first = int(rows[far.argmax()])
            what = f"{name} is not what the {origin} give (first: row {first})"
            yield name, f"{int(far.sum())} videos: {what}"


def _expected_views(
    data: Data, usable: np.ndarray
) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """Yield (array, from what, its values float32 [video view dim], their size [video])."""
    expected = {}
    ones = np.ones(int(usable.sum()), np.float32)
    if "frames" in data:
        frames = data["frames"][usable]
        largest = np.abs(frames).astype(np.float32).reshape(len(frames), -1).max(axis=1)
        counts = data[NUM_VALID][usable] if NUM_VALID in data else None
        mean, consensus = pool_views(frames, counts)
        expected["view_mean"] = "frames", mean, np.maximum(largest, 1.0)
        expected["view_consensus"] = "frames", consensus, ones
    else:
        expected["view_consensus"] = "means", unit_views(data["view_mean"][usable]), ones
    yield from ((name, *values) for name, values in expected.items() if name in data)
