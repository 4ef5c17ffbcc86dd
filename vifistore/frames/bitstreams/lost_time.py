"""Seconds of a video whose frames a damaged file does not hold any more.

A long time from one frame to the next says nothing alone: a picture may stand still. It does where
the reader of the container complains there, or where frames were promised that do not come.
"""

from collections.abc import Sequence

import numpy as np

NO_LOSS = np.empty((0, 2))
"""Of a sound file."""

NEAR_PACKETS = 32
"""A reader complains so many packets before or after those that are gone, as it reads ahead."""

MOST_STEPS = 5
"""What is lost is longer than so many usual frames."""
# And than these seconds.
_LEAST_SECONDS = 0.2
# As containers round times.
_SAME_SECONDS = 2e-3


def lost_packets(seconds: np.ndarray, damages: Sequence[int], promised: float) -> np.ndarray:
    """Stretches [stretch 2], in seconds after the first frame, from which packets are gone.

    `seconds` [packet] are the times of the packets in the order of the file, `damages` the places
    before which something was wrong, `promised` the second at which the file says that it ends.
    """
    if len(seconds) < 2 or not damages or not np.isfinite(seconds).all():
        return NO_LOSS
    is_near = np.zeros(len(seconds) + 1, bool)
    for place in damages:
        is_near[max(0, place - NEAR_PACKETS) : place + NEAR_PACKETS] = True
    order = np.argsort(seconds, kind="stable")
    times, ends_near = seconds[order] - seconds.min(), is_near[order]
    if is_near[-1]:
        times, ends_near = np.append(times, promised), np.append(ends_near, True)
    return _stretches(times, ends_near[1:] | ends_near[:-1], _usual_step(times))


def lost_frames(seconds: np.ndarray, promised: np.ndarray, packets: np.ndarray) -> np.ndarray:
    """Stretches [stretch 2], in seconds after the first frame, that are lost: those of which
    `packets` [stretch 2] are, and those from which frames are that do not come.

    Frames that came are shown at `seconds` [frame], those that should have at `promised` [frame].
    Nothing is known of the latter where the first frame is another one.
    """
    if len(seconds) < 2 or len(promised) <= len(seconds) or not _are_among(seconds, promised):
        return packets
    step = _usual_step(promised)
    times = np.append(seconds, max([promised[-1] + step, *packets[:, 1]]))
    moments = np.sort(np.concatenate([promised, packets.mean(axis=1)]))
    # A frame that is shown a little later than promised is there.
    count = np.searchsorted(moments, times[1:] - step / 2)
    count -= np.searchsorted(moments, times[:-1] + step / 2)
    return _stretches(times, count > 0, step)


def _are_among(seconds: np.ndarray, promised: np.ndarray) -> bool:
    after = np.searchsorted(promised, seconds).clip(1, len(promised) - 1)
    nearest = np.minimum(abs(promised[after] - seconds), abs(promised[after - 1] - seconds))
    return bool(np.median(nearest) < _SAME_SECONDS)


def _usual_step(times: np.ndarray) -> float:
    return float(np.median(np.diff(times)))


def _stretches(times: np.ndarray, may_be: np.ndarray, step: float) -> np.ndarray:
    """From where a frame ends to where the next begins, where that is long and [step] it may be."""
    is_long = np.diff(times) - step > max(MOST_STEPS * step, _LEAST_SECONDS)
    found = np.flatnonzero(is_long & may_be)
    return np.stack([times[found] + step, times[found + 1]], axis=1)
