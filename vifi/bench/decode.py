"""Claim: decoding keeps all cores busy, and handing frames over costs little beside it.

    vifi bench decode --folder FOLDER            # a minute for 100 short clips on two cores

Decodes the videos of a folder with every installed decoder, in this process (`workers` 0) and
through the pool, which starts before the clock. Expected on two idle cores: a pool of two gives 1.7
to 2 times the videos per second of the plain call. `readers` counts the videos by what read them;
`p20_ms` and so on are milliseconds from one video to the next.
"""

import logging
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from vifi.bench.bench_settings import Decode
from vifi.bench.inputs import find_videos
from vifi.bench.timing import quantiles
from vifistore.errors import DecodeError, UsageError
from vifistore.frames.decoders.decoding import DECODERS, DecodedVideo, decode_video, decoder_version
from vifistore.frames.processes.pool import DecodePool

CASE = ("decoder", "workers", "clip_frames", "videos", "failed")

Results = Iterable[DecodedVideo | DecodeError]

logger = logging.getLogger("vifi")


def run(settings: Decode) -> Iterator[dict]:
    """Two rows per decoder: the plain call, and the pool."""
    paths = find_videos(settings.folder, settings.limit)
    for path in paths:
        path.read_bytes()  # so that no decoder pays for the first reading
    for decoder in DECODERS:
        try:
            release = decoder_version(decoder)
        except UsageError as error:
            logger.warning("%s", error)
            continue
        chosen = {"decoder": decoder, "release": release, "clip_frames": settings.frames}
        for workers in (0, settings.workers or os.cpu_count() or 1):
            measured = _measured(paths, settings, workers, decoder)
            yield {**chosen, "workers": workers, **measured}


def _measured(paths: list[Path], settings: Decode, workers: int, decoder: str) -> dict:
    if not workers:
        # Before the clock, as in the pool: the decoder is imported.
        list(_plain(paths[:1], decoder, settings.frames))
        return _counted(_plain(paths, decoder, settings.frames))
    with DecodePool(workers, frames=settings.frames, clips=1, decoder=decoder) as pool:
        # A video for each worker: all have started, and loaded their decoder.
        list(pool.decode((path, path) for path in paths[:workers]))
        return _counted(result for _, result in pool.decode((path, path) for path in paths))


def _plain(paths: list[Path], decoder: str, frames: int) -> Results:
    """The videos, decoded one after the other in this process."""
    for path in paths:
        try:
            yield decode_video(path, frames=frames, clips=1, decoder=decoder)
        except DecodeError as error:
            yield error


def _counted(results: Results) -> dict[str, Any]:
    """What one run over all videos gave."""
    videos = failed = frames = size = 0
    ends, readers = [time.perf_counter()], Counter()
    for result in results:
        ends.append(time.perf_counter())
        if isinstance(result, DecodeError):
            failed += 1
        else:
            videos += 1
            readers[result.reader] += 1
            frames += result.index.size
            size += result.frames.nbytes
    total = ends[-1] - ends[0]
    taken = quantiles([end - start for start, end in pairwise(ends)])
    return {
        "videos": videos,
        "failed": failed,
        "readers": dict(sorted(readers.items())),
        "megabytes": size / 1e6,
        "seconds": total,
        **taken.row(),
        "videos_per_second": videos / total,
        "frames_per_second": frames / total,
    }
