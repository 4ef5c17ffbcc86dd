"""Reading only the wanted frames, for decoders that find a frame by its number.

Finding by number goes wrong without an error in more files than one expects: see `PacketTable`.
Such files, those that fail, those that are no file on this machine, and large frames are read in
order through PyAV, whose pixels are the same.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vifistore.errors import DecodeError
from vifistore.frames.by_time import read_forward, wants_all
from vifistore.frames.kept import Keep
from vifistore.frames.packets import PacketTable, scan_packets
from vifistore.frames.plans import FrameTimes, Plan
from vifistore.frames.raw_frames import Gathering, RawFrames
from vifistore.sources.footage import Readable

Fetch = Callable[[Path, list[np.ndarray], int], Iterator[np.ndarray | None]]
"""(path, groups of sorted frame numbers int64 [frame], number of frames in the file) ->
uint8 [frame height width 3] upright for each group, or None once it does not succeed."""

# What is read at once: a group of large frames is one of them, a usual video is one group.
_GROUP_BYTES = 64 * 2**20

# Frames to be cut that are larger than this (1920 x 1080 is not) are read in order: decord holds
# up to all frames of a video that it decoded ahead, 0.9 GB of 150 frames of 2048 x 2048.
_LARGE_BYTES = 8 * 2**20


def decode_by_number(
    video: Readable, plans: Sequence[Plan], keep: Keep, *, fetch: Fetch, decoder: str
) -> Iterator[RawFrames | DecodeError]:
    """The frames of each plan, which `decoder` reads by `fetch`, or why it has none; raises
    DecodeError."""
    table = scan_packets(video)
    too_large = keep.squares is not None and table.frame_bytes > _LARGE_BYTES
    is_numbered = False
    # Stretches go by time, which tells a frame that is not there where a number would not.
    by_number = wants_all(plans) and not too_large
    if table.seconds is not None and isinstance(video, Path) and by_number:
        is_numbered = True
        about = {"declared_frames": table.declared_frames, "decoder": decoder}
        gathering = Gathering(plans, FrameTimes(table.seconds), keep, **about)
        yield from _fetched(video, gathering, table, fetch)
        plans = gathering.plans
    if plans:
        for raw in read_forward(video, plans, table, keep):
            is_error = isinstance(raw, DecodeError)
            yield raw if is_error else replace(raw, was_retried=is_numbered)


def _fetched(
    path: Path, gathering: Gathering, table: PacketTable, fetch: Fetch
) -> Iterator[RawFrames | DecodeError]:
    """Yield what is whole, up to the first frame that cannot be read."""
    yield from gathering.take()
    wanted, size = gathering.wanted, max(1, _GROUP_BYTES // max(table.frame_bytes, 1))
    groups = [wanted[start : start + size] for start in range(0, len(wanted), size)]
    found = fetch(path, groups, table.num_frames)
    for group, frames in zip(groups, found, strict=False):
        if frames is None:
            return
        gathering.add_all(group, frames)
        yield from gathering.take()
