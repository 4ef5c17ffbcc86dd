"""Decode workers: one process each, replaced when it dies, results in the order of the jobs."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from vifistore.errors import DecodeError, UsageError
from vifistore.frames.decoders.decoding import Decoded, DecodedVideo, check_decoder
from vifistore.frames.decoders.kept import FramePiece, Keep
from vifistore.frames.file_digests import SharedDigest
from vifistore.frames.plans import WHOLE_VIDEO, Sampling, Span
from vifistore.frames.processes.arena import open_arena
from vifistore.frames.processes.decode_jobs import DecodeJob
from vifistore.frames.processes.memory_limits import worker_bytes as share_of_memory
from vifistore.frames.processes.worker_settings import WorkerSettings
from vifistore.frames.processes.workers import Workers
from vifistore.frames.squares import Squares
from vifistore.frames.streams import Stream, taken_as_they_come
from vifistore.sources.footage import Footage, read_or_told
from vifistore.sources.roots import footage_of

if TYPE_CHECKING:
    from vifistore.frames.gpu.gpu_decoders import GpuDecoders

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")

DEFAULT_TIMEOUT_SECONDS = 120.0
# Squares decoded ahead keep the tower busy where a few videos take long, and workers while the
# tower is not ready; each video is an open file, too.
_AHEAD_BYTES, _MOST_AHEAD = 64 * 2**20, 16
# Usual videos take 5 to 10 MB, and two a worker are in flight.
_ARENA_BYTES, _MOST_ARENA_BYTES = 2**26, 2**30
LONG_BYTES = 2**28
"""Of videos whose squares take more, no more are decoded ahead than there are workers."""


class DecodePool:
    """Decodes many videos at once; a video that hangs or crashes its decoder costs only itself.

    Each worker process has a thread here that waits for it, so time limits hold and workers stay
    busy while the caller computes. Use it as a context manager.
    """

    def __init__(
        self,
        num_workers: int,
        *,
        frames: int,
        clips: int,
        decoder: str = "decord",
        stride: int = 0,
        fps: float = 0.0,
        every: int = 0,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        squares: Squares | None = None,
        only_large: bool = False,
        niceness: int = 0,
        worker_bytes: int = 0,
        arena_bytes: int | None = None,
        gpu: "GpuDecoders | None" = None,
    ) -> None:
        """Raises UsageError if the decoder is not installed.

        With `fps` or `every` frames are at a rate, `frames` of them at most. `timeout_seconds` is
        per video, and as often for every further 100 MB of its file that may have to be read, since
        some files can only be read in order. `squares` are cut by the workers, of frames of more
        than twice their size alone if `only_large`. `niceness` (0 to 19) is by how much workers
        give way to other processes, `worker_bytes` how much memory each may take; 0 is its share
        of the machine's. `arena_bytes` is how much memory, shared with the workers, there is for
        frames, None what suits their number; frames beyond it come as files. `gpu` takes videos
        beside the workers, whoever is free, and those that it cannot decode go to them; it ends
        with the pool.
        """
        if num_workers < 1:
            raise UsageError(f"num_workers is {num_workers}; it must be at least 1")
        check_decoder(decoder)
        self._settings = WorkerSettings(
            sampling=Sampling(frames, clips, stride, fps, every),
            decoder=decoder,
            keep=Keep(squares=squares, only_large=only_large),
            niceness=niceness,
            max_bytes=worker_bytes or share_of_memory(num_workers),
        )
        suits = min(num_workers * _ARENA_BYTES, _MOST_ARENA_BYTES)
        self.arena = open_arena(suits if arena_bytes is None else arena_bytes)
        """Memory that frames are handed over in; None where there is none."""
        self._num_workers, self._gpu = num_workers, gpu
        # Each decodes, or waits for who does.
        self._num_threads = num_workers + (gpu.num_lines if gpu else 0)
        self._threads = ThreadPoolExecutor(self._num_threads, thread_name_prefix="decode")
        how = (self._settings, num_workers, timeout_seconds, self.arena)
        self._workers = Workers(*how, num_kept=1 if gpu else 0)

    def __enter__(self) -> Self:
        for _ in range(self._num_workers):
            self._threads.submit(self._workers.warm_up)
        if self._gpu is not None:
            self._threads.submit(self._gpu.warm_up)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the workers that are running or starting."""
        return self._workers.pids

    def close(self) -> None:
        """End all workers. Frames that were handed out stay valid."""
        decoders = [self._workers, *([self._gpu] if self._gpu else [])]
        for one in decoders:
            one.kill()
        self._threads.shutdown(cancel_futures=True)
        for one in decoders:
            one.stop()
        if self.arena is not None:
            self.arena.close()
            self.arena = None

    def decode(
        self,
        jobs: Iterable[tuple[Key, str | Path | Footage]],
    ) -> Iterator[tuple[Key, DecodedVideo | DecodeError]]:
        """Yield (key, video or the error that stopped it) in the order of (key, video) jobs.

        Decoding begins at once, and goes ahead of the caller by 2 x num_workers videos, or by more
        where they are small squares, and by num_workers where they are long. No more jobs are drawn
        from the iterable, which may be endless and is used in the calling thread only. `frames` is
        shared memory, and may be an open file, given back with its last view: copy what is to be
        kept of many videos. Raises UsageError if no worker can be started.
        """
        self._workers.check_open()
        return submit_ahead(iter(jobs), self.submit, self._num_ahead())

    def decode_stretches(
        self, jobs: Iterable[tuple[Sequence[Key], DecodeJob]]
    ) -> Iterator[tuple[Key, Decoded]]:
        """Yield (key, stretch or why it has no frames) of jobs, each with a key for every stretch.

        As `decode`, but a job gives its stretches as they are read, one after the other, and of
        several that are under way whichever is ready: the oldest first. A job waits once a few of
        its stretches are not yet taken. One with `piece_bytes` gives pieces of a long stretch in
        the same way, under the same key.
        """
        self._workers.check_open()
        remaining, ahead = iter(jobs), self._num_ahead()
        of_job = max(2, ahead // self._num_workers)

        def begin(changed: threading.Condition) -> Stream | None:
            for keys, job in remaining:
                is_part = _is_piece if job.piece_bytes else None
                stream = Stream(keys, of_job, changed, is_part)
                stream.begin(self._threads, partial(self._results, job))
                return stream
            return None

        return taken_as_they_come(begin, ahead + of_job)

    def _num_ahead(self) -> int:
        """How many videos are decoded ahead of the caller."""
        squares, few = self._settings.keep.squares, 2 * self._num_threads
        if squares is None or self._settings.keep.only_large:
            return few
        sampling = self._settings.sampling
        num_bytes = sampling.frames * sampling.clips * squares.crops * 3 * squares.size**2
        if num_bytes > LONG_BYTES:
            return self._num_workers
        return max(few, min(_AHEAD_BYTES // num_bytes, _MOST_AHEAD * self._num_workers))

    def submit(
        self,
        video: str | Path | Footage,
        draw: Sequence[int] | None = None,
        also: Sequence[Sampling] = (),
        span: Span = WHOLE_VIDEO,
    ) -> Future[DecodedVideo | DecodeError]:
        """Decode one video, or a stretch of it, which may have to wait for a worker; see `decode`,
        and for `also` `decode_video`."""
        self._workers.check_open()
        job = DecodeJob(footage=footage_of(video), spans=(span,), draw=draw, also=also)
        return self._threads.submit(self._only, job)

    def _only(self, job: DecodeJob) -> DecodedVideo | DecodeError:
        (found,) = self._results(job)
        assert not isinstance(found, FramePiece), "it was asked for whole"
        return found

    def _results(self, job: DecodeJob) -> Generator[Decoded]:
        """What a worker gives of each stretch."""
        takes_digest = job.digest is None or job.digest.claim()
        told = not takes_digest
        try:
            for found in self._found(job, takes_digest=takes_digest):
                if job.digest is None or not isinstance(found, DecodedVideo):
                    yield found
                    # No name for it: it would hold its memory while the next one is read.
                    del found
                    continue
                if not told:
                    job.digest.tell(found.content_digest)
                    told = True
                yield _digested(found, job.digest)
        finally:
            if job.digest is not None and not told:
                job.digest.tell("")

    def _found(self, job: DecodeJob, *, takes_digest: bool) -> Iterator[Decoded]:
        """What the GPU, if it has a part in it, or else a worker gives of each stretch."""
        video = self._gpu.decode(job, takes_digest=takes_digest) if self._gpu else None
        if video is None:
            yield from self._workers.decode(job, takes_digest=takes_digest)
            return
        yield video


def _is_piece(found: Decoded) -> bool:
    return isinstance(found, FramePiece)


def _digested(decoded: DecodedVideo, digest: SharedDigest) -> DecodedVideo | DecodeError:
    """A stretch with the digest of its file, or why that cannot be taken any more."""
    try:
        with read_or_told(digest.footage):
            return replace(decoded, content_digest=digest.get())
    except DecodeError as error:
        return error


def submit_ahead(
    jobs: Iterator[tuple], submit: Callable[..., Future[Result]], most: int
) -> Iterator[tuple[Any, Result]]:
    """Yield (key, what came of it) in the order of jobs, of which `submit` takes all but the key.

    At most `most` are under way, the first of them when this returns.
    """
    ahead: deque[tuple[Any, Future[Result]]] = deque()

    def fill() -> None:
        for key, *job in islice(jobs, most - len(ahead)):
            ahead.append((key, submit(*job)))

    fill()
    return _in_order(ahead, fill)


def _in_order(
    ahead: deque[tuple[Any, Future[Result]]], fill: Callable[[], None]
) -> Iterator[tuple[Any, Result]]:
    try:
        while ahead:
            # No name for the result here: it would keep the memory of a video that the caller has
            # done with.
            yield _first_result(ahead)
            fill()
    finally:
        for _, future in ahead:
            future.cancel()


def _first_result(ahead: deque[tuple[Any, Future[Result]]]) -> tuple[Any, Result]:
    key, future = ahead.popleft()
    return key, future.result()
