"""Claim: decoded frames reach the GPU's reach at the speed of one copy, made by the worker.

    python -m benchmarks.hand_over        # a minute, two cores, 2 GB of memory

One worker has the frames of a video ready and hands them over again and again, in two ways that
take turns. `file`: a new anonymous file each, which the thread that feeds the GPU maps and copies
into a buffer of its own, as it must where uploads want pinned memory. `arena`: a part of memory
that both share, and that CUDA knows, so that nothing is left to copy. Without a GPU the buffer is
plain memory and nothing is uploaded.

`worker_ms` and `thread_ms` are processor time a video on either side, `frames_per_second` goes by
the clock, all medians; `memcpy_frames_per_second` is the floor: one thread copies the same frames
between two buffers that are in use. Expected: the thread takes under a tenth of what it took, and
twice the frames come through.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vifi.bench.bench_settings import Bench
from vifi.bench.recording import script
from vifistore.errors import DecodeError
from vifistore.frames.processes.arena import Arena, open_arena
from vifistore.frames.processes.worker_handle import Program
from vifistore.sources.roots import footage_of

CASE = ("width", "height", "frames", "way")
_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class HandOver(Bench):
    """What is handed over."""

    sizes: tuple[tuple[int, int], ...] = ((340, 256), (1920, 1080), (3840, 2160))
    """Width and height of frames, pixels."""
    frames: int = 16
    """Frames per video."""
    videos: int = 12
    """Videos of each turn; the first two are not counted."""
    turns: int = 3
    """How often the two ways take turns."""


def run(settings: HandOver) -> Iterator[dict]:
    """Two rows per size: by files, and by the arena."""
    for width, height in settings.sizes:
        found: dict[str, list[np.ndarray]] = {"file": [], "arena": []}
        floors = []
        for _ in range(settings.turns):
            for way, turns in found.items():
                turns.append(_turn(way, width, height, settings))
            floors.append(_memcpy_seconds(width * height * 3 * settings.frames))
        before = _row(found["file"], settings)
        for way, turns in found.items():
            row = _row(turns, settings)
            yield {
                **{"width": width, "height": height, "frames": settings.frames, "way": way, **row},
                "memcpy_frames_per_second": round(settings.frames / float(np.median(floors)), 1),
                "times_by_file": round(row["frames_per_second"] / before["frames_per_second"], 2),
            }


def _row(turns: list[np.ndarray], settings: HandOver) -> dict[str, float]:
    clock, worker, thread = np.median(np.concatenate(turns), axis=0)
    return {
        "worker_ms": round(1e3 * worker, 3),
        "thread_ms": round(1e3 * thread, 3),
        "frames_per_second": round(settings.frames / clock, 1),
    }


def _turn(way: str, width: int, height: int, settings: HandOver) -> np.ndarray:
    """Seconds float64 [video 3] of the clock, and of the processor: the worker's, this thread's."""
    num_bytes = width * height * 3 * settings.frames
    # Three videos are under way: one being written, one on the way, one being uploaded.
    arena = open_arena(3 * num_bytes + 2**16) if way == "arena" else None
    size = (height, width, settings.frames, settings.videos)
    program = Program("benchmarks.handing_worker", *size, arena=arena)
    try:
        program.wait_until_ready()
        program.give({"go_on": True})
        return np.array(list(_taken(program, arena, num_bytes, settings.videos)))[2:]
    finally:
        program.process.kill()
        program.stop()
        if arena is not None:
            arena.close()


def _taken(
    program: Program, arena: Arena | None, num_bytes: int, count: int
) -> Iterator[tuple[float, float, float]]:
    """Seconds that each video took."""
    buffer, footage = np.ones(num_bytes, np.uint8), footage_of("made")
    clock, thread = time.perf_counter(), time.thread_time()
    for _ in range(count):
        found = program.frames(footage, _SECONDS)
        if isinstance(found, DecodeError):
            raise found
        answer, frames = found
        if arena is None:
            np.copyto(buffer, frames.reshape(-1))
        del found, frames
        now = time.perf_counter(), time.thread_time()
        yield now[0] - clock, answer["facts"]["seconds"], now[1] - thread
        clock, thread = now


def _memcpy_seconds(num_bytes: int) -> float:
    source, target = np.ones(num_bytes, np.uint8), np.zeros(num_bytes, np.uint8)
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        np.copyto(target, source)
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


if __name__ == "__main__":
    script("hand_over", HandOver, run, CASE, __doc__)
