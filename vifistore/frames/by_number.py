"""Reading only the wanted frames, for decoders that find a frame by its number.

Finding by number goes wrong without an error in more files than one expects: see `PacketTable`.
Such files, and those that fail, are read in order through PyAV, whose pixels are the same.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from vifistore.frames.packets import scan_packets
from vifistore.frames.pyav_decoder import read_in_order
from vifistore.frames.raw_frames import Plan, RawFrames, split_plan

Fetch = Callable[[Path, np.ndarray, int], np.ndarray | None]
"""(path, sorted frame numbers int64 [distinct], number of frames in the file) ->
uint8 [distinct height width 3] upright, or None if it does not succeed."""


def decode_by_number(path: Path, plan: Plan, fetch: Fetch, decoder: str) -> RawFrames:
    """Frames of the plan; raises DecodeError."""
    table = scan_packets(path)
    can_seek = table.seconds is not None
    if can_seek:
        wanted, index = split_plan(plan(table.num_frames))
        frames = fetch(path, wanted, table.num_frames)
        if frames is not None:
            return RawFrames(
                frames=frames,
                index=index,
                seconds=table.seconds[wanted],
                num_frames=table.num_frames,
                declared_frames=table.declared_frames,
                decoder=decoder,
            )
    return replace(read_in_order(path, plan, table), was_retried=can_seek)
