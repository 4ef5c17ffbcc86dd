"""A decode pool that decodes a video only where the frame cache lacks its frames."""

import contextlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Generic, Self, TypeVar

from vifistore.errors import DecodeError
from vifistore.frames.decoders.decoding import DecodedVideo
from vifistore.frames.plans import Span
from vifistore.frames.processes.decode_jobs import DecodeJob
from vifistore.frames.processes.pool import submit_ahead
from vifistore.frames.processes.together import SharedFrames
from vifistore.frames.readers import Reader
from vifistore.sources.footage import Footage
from vifistore.sources.roots import footage_of

Key = TypeVar("Key", bound=Hashable)


def nobody(_: Hashable) -> Sequence[Reader]:
    """No other reader of a video."""
    return ()


class CachedPool(Generic[Key]):
    """Gives the videos of jobs resized and cropped, from the cache where it has them.

    `normalise(video.frames, preprocessing)` then gives, number for number, what preprocessing the
    decoded frames would. Use it as a context manager, inside that of the pool.
    """

    def __init__(
        self,
        frames: SharedFrames,
        own: Reader,
        *,
        num_threads: int,
        others: Callable[[Key], Sequence[Reader]] = nobody,
    ) -> None:
        """`frames` decodes by the sampling of `own`; `others` gives what else is kept of the video
        of a job, if it has to be decoded.

        `num_threads` is at best twice the workers: a thread reads an entry, writes one, or waits
        for a worker.
        """
        self._frames, self._own, self._others = frames, own, others
        self._num_threads = num_threads
        self._threads = ThreadPoolExecutor(num_threads, thread_name_prefix="frame-cache")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def decode(
        self, jobs: Iterable[tuple[Key, str | Path | Footage]]
    ) -> Iterator[tuple[Key, DecodedVideo | DecodeError]]:
        """As `DecodePool.decode`, but `frames` is uint8 [crop*distinct size size 3].

        `width` and `height` are those of the decoded frames.
        """
        return self.decode_stretches(
            ((key,), DecodeJob(footage=footage_of(video))) for key, video in jobs
        )

    def decode_stretches(
        self, jobs: Iterable[tuple[Sequence[Key], DecodeJob]]
    ) -> Iterator[tuple[Key, DecodedVideo | DecodeError]]:
        """As `DecodePool.decode_stretches`, in the order of the jobs; each stretch is looked for,
        and if need be decoded, by itself."""
        keyed = (
            (key, key, job, span)
            for keys, job in jobs
            for key, span in zip(keys, job.spans, strict=True)
        )
        return submit_ahead(keyed, self._submit, 2 * self._num_threads)

    def _submit(self, key: Key, job: DecodeJob, span: Span) -> Future[DecodedVideo | DecodeError]:
        return self._threads.submit(self._find, key, job, span)

    def _find(self, key: Key, job: DecodeJob, span: Span) -> DecodedVideo | DecodeError:
        digest = ""
        if job.digest is not None:
            # Whatever is wrong with it, the pool says so.
            with contextlib.suppress(DecodeError, OSError):
                digest = job.digest.get()
        others = self._others(key)
        return self._frames.find(job.footage, self._own, others, span=span, digest=digest)
