"""Frames through decord (the maintained decord2): the default decoder, and the paper's."""

import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

import numpy as np

# decord hides a frame that fails by repeating the last good one; it raises once more than this
# share of the video was repeated, which is here any frame at all.
_FAULT_TOLERANCE = 1e-9


@cache
def load_decord() -> ModuleType:
    """Import decord without the CUDA libraries that it preloads for CUDA builds of its own.

    It does so for any build where torch brought such libraries, and with them every decode worker
    takes 600 MB and a second more.
    """
    if "+cu" in _version():
        return import_module("decord")
    known = sys.modules.get("nvidia")
    # So the import system is told that there is no such package; decord looks for it once.
    # None is what the import system takes for that; typeshed knows modules alone.
    sys.modules["nvidia"] = None  # pyright: ignore[reportArgumentType]
    try:
        return import_module("decord")
    finally:
        del sys.modules["nvidia"]
        if known is not None:
            sys.modules["nvidia"] = known


def _version() -> str:
    try:
        return version("decord2")
    except PackageNotFoundError:
        # Its forks do not preload anything.
        return ""


def fetch_decord(
    path: Path, groups: list[np.ndarray], num_frames: int
) -> Iterator[np.ndarray | None]:
    """Groups of frames, uint8 [frame height width 3]; see `by_number.Fetch`."""
    decord = load_decord()
    decord.logging.set_level(decord.logging.ERROR)
    try:
        # A single thread: the pool already keeps every core busy.
        reader = decord.VideoReader(str(path), num_threads=1, fault_tol=_FAULT_TOLERANCE)
        if len(reader) != num_frames:
            yield None
            return
        # In damaged files it stops at another place in every run, so no part of them is kept.
        for wanted in groups:
            yield reader.get_batch(wanted).asnumpy()
    except (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError, AssertionError):
        yield None
    except UnicodeEncodeError:
        # It opens no path whose bytes are not UTF-8.
        yield None
