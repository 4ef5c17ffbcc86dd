"""Reading only the wanted frames, for decoders that find a frame by its number.

Finding by number goes wrong without an error in more files than one expects: see `PacketTable`.
Such files, those that fail, those that are no file on this machine, and large frames are read in
order through PyAV, whose pixels are the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from vifistore.frames.kept import Keep, KeptFrames
from vifistore.frames.packets import scan_packets
from vifistore.frames.pyav_decoder import read_in_order
from vifistore.frames.raw_frames import Plan, RawFrames, split_plan
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
    video: Readable, plan: Plan, keep: Keep, *, fetch: Fetch, decoder: str
) -> RawFrames:
    """Frames of the plan, which `decoder` reads by `fetch`; raises DecodeError."""
    table = scan_packets(video)
    too_large = keep.squares is not None and table.frame_bytes > _LARGE_BYTES
    seconds = None if too_large else table.seconds
    if seconds is not None and isinstance(video, Path):
        wanted, index = split_plan(plan(table.num_frames))
        kept = KeptFrames(keep, len(wanted))
        if _fetch_all(video, wanted, table.num_frames, table.frame_bytes, fetch, kept):
            return RawFrames(
                kept=kept,
                index=index,
                seconds=seconds[wanted],
                num_frames=table.num_frames,
                declared_frames=table.declared_frames,
                decoder=decoder,
            )
    was_retried = seconds is not None and isinstance(video, Path)
    return replace(read_in_order(video, plan, table, keep), was_retried=was_retried)


def _fetch_all(
    path: Path,
    wanted: np.ndarray,
    num_frames: int,
    frame_bytes: int,
    fetch: Fetch,
    kept: KeptFrames,
) -> bool:
    """Whether all frames wanted were read, and are kept."""
    size = max(1, _GROUP_BYTES // max(frame_bytes, 1))
    groups = [wanted[start : start + size] for start in range(0, len(wanted), size)]
    for frames in fetch(path, groups, num_frames):
        if frames is None:
            return False
        kept.add(frames)
    return True
