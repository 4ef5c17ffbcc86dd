"""From rows of a dataset to decoded videos, and to those that need no encoding."""

import contextlib
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from vifistore.errors import DecodeError
from vifistore.extract.blocks import VideoResult, quarantined
from vifistore.extract.clock import Clock
from vifistore.extract.extract_settings import EncodeSettings
from vifistore.extract.ranks import local_count
from vifistore.extract.reuse import Reuse
from vifistore.extract.trainer_frames import TrainerFrames
from vifistore.extract.transfer import Pixels
from vifistore.frames.cached_pool import CachedPool, nobody
from vifistore.frames.decoding import DecodedVideo
from vifistore.frames.frame_cache import FrameCache
from vifistore.frames.pool import DecodePool
from vifistore.frames.readers import Reader, common_squares
from vifistore.frames.together import SharedFrames
from vifistore.scanning.changes import ChangeLog
from vifistore.scanning.presence import MISSING, Presence
from vifistore.store.recipe import Preprocessing

# The tower on the same cores goes first: its threads wait for the slowest of them, while frames
# are wanted only once it has none left.
_NICENESS = 19


class DecodedRows:
    """The videos of some rows, decoded ahead of the encoder, in order."""

    def __init__(
        self,
        folder: Path,
        paths: np.ndarray,
        *,
        reuse: Reuse,
        changes: ChangeLog,
        presence: Presence,
        clock: Clock,
    ) -> None:
        self._folder = folder
        self._presence = presence
        self._paths = paths
        self._reuse = reuse
        self._changes = changes
        self._clock = clock
        # Rows to copy, and results of videos that cannot be read: they need no encoding.
        self._ready: deque[int | VideoResult] = deque()
        self.decode_seconds = 0.0
        """Processor time that workers took to decode."""
        self.cut_seconds = 0.0
        """Processor time that workers took to resize."""

    def pixels(
        self, rows: list[int], pool: DecodePool | CachedPool, pixels: Pixels
    ) -> Iterator[tuple[tuple[int, DecodedVideo], torch.Tensor]]:
        """Yield ((row, video without frames), [crop*frame 3 size size]) of what decodes."""
        results = pool.decode(self._jobs(rows))
        while True:
            with self._clock.stage("decode"):
                result = next(results, None)
            if result is None:
                return
            row, decoded = result
            if isinstance(decoded, DecodeError):
                if decoded.reason == MISSING:
                    self._presence.miss()
                self._ready.append(quarantined(row, self._path(row), decoded))
                continue
            self._changes.read(row, decoded.content_digest)
            self.decode_seconds += decoded.decode_seconds
            self.cut_seconds += decoded.cut_seconds
            # The frames are done with after this: only their shared memory would be held.
            light = replace(decoded, frames=decoded.frames[:0].copy())
            yield (row, light), pixels.of(decoded)

    def take_ready(self) -> Iterator[VideoResult]:
        """Yield the results so far of videos that are copied or cannot be read."""
        while self._ready:
            entry = self._ready.popleft()
            if isinstance(entry, VideoResult):
                yield from self._reuse.with_twins(entry)
            else:
                result = self._reuse.copy(entry)
                self._changes.read(entry, str(result.values["content_digest"]))
                yield result

    def _jobs(self, rows: list[int]) -> Iterator[tuple[int, Path]]:
        """Yield (row, path) of what has to be decoded; rows to copy are set aside."""
        for row in rows:
            path = self._path(row)
            source = self._reuse.find(row, path)
            self._changes.look(row, path)
            if source == "encode":
                yield row, path
            elif source == "copy":
                self._ready.append(row)

    def _path(self, row: int) -> Path:
        return self._folder / self._paths[row]


@contextlib.contextmanager
def open_pools(
    settings: EncodeSettings,
    preprocessing: Preprocessing,
    device: torch.device,
    trainer: TrainerFrames | None = None,
) -> Iterator[DecodePool | CachedPool]:
    """The running pool of an extraction.

    On a CPU the workers resize as well; a GPU resizes faster than they do, but large frames would
    fill their memory, and a cache of frames keeps squares. `trainer` reads some of the videos from
    the same cache.
    """
    on_cpu = device.type == "cpu"
    own = Reader(
        frames=settings.num_frames,
        clips=settings.clips,
        preprocessing=preprocessing,
        crops=settings.crops,
    )
    squares = own.squares
    if settings.frame_cache:
        squares = common_squares([own, *([trainer.kept] if trainer else [])])
    num_workers = settings.workers or default_workers(device)
    sampling = {name: getattr(settings, name) for name in ("frames", "clips", "decoder")}
    with DecodePool(
        num_workers,
        **sampling,
        timeout_seconds=settings.timeout,
        squares=squares,
        only_large=not (on_cpu or settings.frame_cache),
        worker_bytes=int(settings.worker_memory_gb * 2**30),
        niceness=_NICENESS if on_cpu else 0,
    ) as pool:
        if settings.frame_cache is None:
            yield pool
            return
        cache = FrameCache(settings.frame_cache, int(settings.frame_cache_gb * 1e9))
        with CachedPool(
            SharedFrames(pool, cache, settings.decoder, squares),
            own,
            num_threads=2 * num_workers,
            others=trainer.of_row if trainer else nobody,
        ) as cached:
            yield cached


def default_workers(device: torch.device) -> int:
    """Decoding processes: one a core, but one core feeds the GPU where there is one.

    Processes that were started side by side share the cores of a machine, unless the launcher has
    given each its own.
    """
    machine = os.cpu_count() or 1
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine
    cores = own if own < machine else machine // local_count()
    return max(1, cores - (device.type == "cuda"))
