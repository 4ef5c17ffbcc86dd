"""How far the stretch around each frame reaches: half way to its neighbours, within its row."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np


def known_stretches(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """float64 [video 2]: seconds of its file between which each row lies, of the columns of the
    table of videos; the end is infinite where it is that of a file whose duration is not known."""
    durations = np.where(columns["duration_seconds"] > 0, columns["duration_seconds"], np.inf)
    ends = np.where(np.isnan(columns["end_seconds"]), durations, columns["end_seconds"])
    return np.stack([columns["start_seconds"], ends], axis=1)


def reach(times: np.ndarray, stretches: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Where the stretch around each time begins and ends, float64 [time]; `times` ascend, seconds.

    That is half way to its neighbours; the outer ones reach as far outwards as inwards, above 0.
    `stretches` float64 [time 2] are the rows that the times are of: none reaches beyond its own
    into what no row holds, and two rows that touch meet within both.
    """
    if stretches is None:
        stretches = np.broadcast_to([-np.inf, np.inf], (len(times), 2))
    starts, stops = stretches[:, 0], stretches[:, 1]
    begins, ends = np.empty(len(times)), np.empty(len(times))
    is_gap = stops[:-1] < starts[1:]
    borders = np.flatnonzero(is_gap) + 1
    for first, stop in pairwise([0, *borders.tolist(), len(times)]):
        part = times[first:stop]
        half = np.diff(part).astype(np.float64) / 2 if len(part) > 1 else np.zeros(1)
        middle = np.clip(part[:-1] + half[: len(part) - 1], starts[first + 1 : stop], None)
        middle = np.minimum(middle, np.maximum(stops[first : stop - 1], starts[first + 1 : stop]))
        begins[first + 1 : stop] = ends[first : stop - 1] = middle
        begins[first] = min(max(part[0] - half[0], starts[first], 0.0), part[0])
        ends[stop - 1] = max(min(part[-1] + half[-1], stops[stop - 1]), part[-1])
    return begins, ends
