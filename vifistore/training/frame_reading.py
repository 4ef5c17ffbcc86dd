"""The frames of each view, decoded or from the frame cache, in the order of the videos asked for.

Steps either draw from all frames of a video, and then decode it anew every time, or from a fixed
number of evenly spaced candidates, which the cache can keep.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Self

import numpy as np

from vifistore.errors import DecodeError
from vifistore.frames.decoders.decoding import DecodedVideo
from vifistore.frames.frame_cache import FrameCache
from vifistore.frames.plans import WHOLE_VIDEO, Span
from vifistore.frames.preprocess import squares_of
from vifistore.frames.processes.pool import DecodePool
from vifistore.frames.processes.together import SharedFrames
from vifistore.frames.readers import Reader, common_squares
from vifistore.frames.sampling import sample_training_indices
from vifistore.kernels.geometry import OPENCV
from vifistore.sources.footage import Footage
from vifistore.store.recipe import Preprocessing
from vifistore.training.options import RunOptions, default_readers
from vifistore.training.order import Draws, MicroBatch, stream
from vifistore.training.training_settings import TrainSettings


def kept_by_steps(preprocessing: Preprocessing, settings: TrainSettings) -> Reader:
    """The frames that steps draw from, candidates or the drawn ones themselves.

    Where nothing but the centre crop is wanted they are the squares of an extraction. Random crops
    are cut from frames of the released code's size, 256 for a tower of 224: no larger, and where
    its OpenCV resizes no smaller either.
    """
    frames = settings.candidate_frames or settings.num_frames
    if settings.crop_scales and preprocessing.backend == OPENCV:
        return Reader(frames=frames, short_side=preprocessing.short_side, backend=OPENCV)
    if settings.crop_scales:
        return Reader(frames=frames, short_side=round(preprocessing.size * 256 / 224))
    # What Pillow cannot cut is left to the device.
    has_squares = squares_of(preprocessing, 1) is not None
    return Reader(frames=frames, preprocessing=preprocessing if has_squares else None)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A view to read."""

    batch: MicroBatch
    """Forward pass that it is for."""
    row: int
    """Video, as a number of the training set."""
    footage: Footage
    """Its bytes."""
    span: Span = WHOLE_VIDEO
    """The stretch of it that frames are drawn from."""


class FrameReader:
    """Reads views; use it as a context manager."""

    def __init__(
        self,
        preprocessing: Preprocessing,
        settings: TrainSettings,
        options: RunOptions,
        digests: dict[int, str],
        others: Sequence[Reader] = (),
        *,
        on_gpu: bool = False,
    ) -> None:
        """`digests` gets the content digest of each video, by its number, when it is read;
        `others` are kept in the frame cache beside what steps draw from; `on_gpu` says where the
        model computes."""
        self._settings, self._options = settings, options
        self._own = kept_by_steps(preprocessing, settings)
        self._others = others if options.frame_cache else ()
        self._squares = common_squares([self._own, *self._others])
        self._num_workers = options.workers or default_readers(on_gpu=on_gpu)
        self._digests = digests

    @property
    def are_squares(self) -> bool:
        """Whether frames are cut to the tower's size already, so that normalising is left."""
        return self._own.preprocessing is not None

    def __enter__(self) -> Self:
        options = self._options
        self._pool = DecodePool(
            self._num_workers,
            frames=self._own.frames,
            clips=self._own.clips,
            decoder=options.decoder,
            timeout_seconds=options.timeout,
            squares=self._squares,
        )
        self._pool.__enter__()
        self._kept: SharedFrames | None = None
        if options.frame_cache:
            cache = FrameCache(options.frame_cache, int(options.frame_cache_gb * 1e9))
            self._kept = SharedFrames(self._pool, cache, options.decoder, self._squares)
        # A thread reads an entry, writes one, or waits for a worker.
        self._threads = ThreadPoolExecutor(2 * self._num_workers, thread_name_prefix="read")
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()
        self._threads.shutdown(cancel_futures=True)

    def read(self, jobs: Iterable[Reading]) -> Iterator[tuple[Reading, np.ndarray | DecodeError]]:
        """Yield (job, uint8 [frame height width 3] or why there is none) in the jobs' order."""
        jobs = iter(jobs)
        ahead: deque[tuple[Reading, Future]] = deque()
        try:
            while True:
                for job in islice(jobs, 4 * self._num_workers - len(ahead)):
                    ahead.append((job, self._threads.submit(self._frames, job)))
                if not ahead:
                    return
                job, future = ahead.popleft()
                yield job, future.result()
        finally:
            for _, future in ahead:
                future.cancel()

    def _frames(self, job: Reading) -> np.ndarray | DecodeError:
        settings = self._settings
        key = (settings.seed, job.batch.epoch, job.row)
        if not settings.candidate_frames:
            video = self._drawn(job, (int(Draws.FRAMES), *key))
            return self._chosen(video, slice(None))
        columns = sample_training_indices(
            settings.candidate_frames, settings.num_frames, stream(Draws.FRAMES, *key)
        )
        if self._kept is None:
            video = self._pool.submit(job.footage, span=job.span).result()
            return self._chosen(self._noted(job, video), columns)
        return self._cached(self._kept, job, columns)

    def _drawn(self, job: Reading, draw: Sequence[int]) -> DecodedVideo | DecodeError:
        if self._kept is None or not self._others:
            return self._noted(job, self._pool.submit(job.footage, draw, span=job.span).result())
        digest = self._digests.get(job.row, "")
        video = self._kept.drawn(job.footage, self._own, draw, self._others, digest, job.span)
        return self._noted(job, video)

    def _noted(self, job: Reading, video: DecodedVideo | DecodeError) -> DecodedVideo | DecodeError:
        if not isinstance(video, DecodeError):
            self._digests[job.row] = video.content_digest
        return video

    def _cached(
        self, kept: SharedFrames, job: Reading, columns: np.ndarray
    ) -> np.ndarray | DecodeError:
        """Candidates from the cache, where no more is read than wanted, or decoded and kept."""
        num_candidates = self._settings.candidate_frames

        def choose(count: int) -> Sequence[int]:
            # A short video repeats frames, so that columns are not places in its entry.
            return columns.tolist() if count == num_candidates else range(count)

        digest = self._digests.get(job.row, "")
        how = {"span": job.span, "digest": digest, "choose": choose}
        video = kept.find(job.footage, self._own, self._others, **how)
        self._noted(job, video)
        if not isinstance(video, DecodeError) and len(np.unique(video.index)) == num_candidates:
            return video.frames
        return self._chosen(video, columns)

    def _chosen(
        self, video: DecodedVideo | DecodeError, columns: np.ndarray | slice
    ) -> np.ndarray | DecodeError:
        """The frames of chosen places of the clip, in memory of their own."""
        if isinstance(video, DecodeError):
            return video
        frames = video.frames[video.index[0][columns]]
        return frames if self.are_squares else self._own.cut(frames)
