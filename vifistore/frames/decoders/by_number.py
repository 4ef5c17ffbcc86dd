"""Reading only the wanted frames, for decoders that find a frame by its number.

Finding by number goes wrong without an error in more files than one expects: see `PacketTable`.
Such files, those that fail, those that are no file on this machine, and large frames are read
through PyAV, whose pixels are the same: see `wanted_only`, and where a file's
packets do not tell enough for it, `in_order`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vifistore.frames.bitstreams.packets import PacketTable, Scan, scanned
from vifistore.frames.bitstreams.pictures import PictureOrder, order_of
from vifistore.frames.decoders.by_time import read_forward, table_for, wants_all
from vifistore.frames.decoders.kept import Keep
from vifistore.frames.decoders.wanted_only import has_same_levels, read_wanted
from vifistore.frames.plans import FrameTimes, Plan
from vifistore.frames.raw_frames import Gathering, RawFrames, Read
from vifistore.sources.footage import Readable

Fetch = Callable[[Path, list[np.ndarray], int], Iterator[np.ndarray | None]]
"""(path, groups of sorted frame numbers int64 [frame], number of frames in the file) ->
uint8 [frame height width 3] upright for each group, or None once it does not succeed."""

BY_NUMBER, WANTED_ONLY = "by-number", "wanted-only"
"""The ways of reading that these are: by a decoder's own numbers, and what is decoded of a file."""

# What is read at once: a group of large frames is one of them, a usual video is one group.
_GROUP_BYTES = 64 * 2**20

# Frames to be cut that are larger than this (1920 x 1080 is not) are read in order: decord holds
# up to all frames of a video that it decoded ahead, 0.9 GB of 150 frames of 2048 x 2048.
_LARGE_BYTES = 8 * 2**20


def decode_by_number(
    video: Readable,
    plans: Sequence[Plan],
    keep: Keep,
    *,
    fetch: Fetch,
    decoder: str,
    picks: bool = False,
) -> Iterator[Read]:
    """The frames of each plan, which `decoder` reads by `fetch`, or why it has none; raises
    DecodeError.

    With `picks` PyAV decodes of a file what wanted frames need, where their levels are the same.
    """
    if not wants_all(plans):
        # Stretches go by time, which tells a frame that is not there where a number would not.
        yield from read_forward(video, plans, table_for(video, plans), keep)
        return
    was_tried = False
    with scanned(video) as scan:
        table, order = scan.table, order_of(scan) if picks else None
        if order is not None and (table.seconds is None or has_same_levels(scan)):
            gathering = _begun(plans, order.seconds, table, keep, "pyav", WANTED_ONLY)
            yield from _picked(scan, order, gathering)
            plans, was_tried = gathering.plans, True
    too_large = keep.squares is not None and table.frame_bytes > _LARGE_BYTES
    # What does not come as the packets tell has no numbers that another one could go by.
    seconds = None if was_tried else table.seconds
    if plans and seconds is not None and not too_large and isinstance(video, Path):
        gathering = _begun(plans, seconds, table, keep, decoder, BY_NUMBER)
        yield from _fetched(video, table, gathering, fetch)
        plans, was_tried = gathering.plans, True
    if plans:
        yield from _marked(read_forward(video, plans, table, keep), was_tried)


def _begun(
    plans: Sequence[Plan],
    seconds: np.ndarray,
    table: PacketTable,
    keep: Keep,
    decoder: str,
    way: str,
) -> Gathering:
    about = {"declared_frames": table.declared_frames, "decoder": decoder, "way": way}
    return Gathering(plans, FrameTimes(seconds, table.lost), keep, **about)


def _marked(found: Iterator[Read], was_tried: bool) -> Iterator[Read]:
    """What is found, marked if it was tried in another way before."""
    for raw in found:
        yield replace(raw, was_retried=True) if was_tried and isinstance(raw, RawFrames) else raw


def _picked(scan: Scan, order: PictureOrder, gathering: Gathering) -> Iterator[Read]:
    """Yield what is whole, up to the first frame that does not come as it should."""
    yield from gathering.take()
    wanted = gathering.wanted
    for number, frame in zip(wanted.tolist(), read_wanted(scan, order, wanted), strict=False):
        if frame is None:
            return
        gathering.add(number, frame[None])
        yield from gathering.take()


def _fetched(path: Path, table: PacketTable, gathering: Gathering, fetch: Fetch) -> Iterator[Read]:
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
