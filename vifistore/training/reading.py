"""The frames of each view, decoded or from the frame cache, in the order of the videos asked for.

Steps either draw from all frames of a video, and then decode it anew every time, or from a fixed
number of evenly spaced candidates, which the cache can keep.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image

from vifistore.errors import DecodeError
from vifistore.frames.decoding import DecodedVideo, content_digest, decoder_version
from vifistore.frames.frame_cache import FrameCache, FrameKey
from vifistore.frames.pool import DecodePool
from vifistore.frames.preprocess import squares_of
from vifistore.frames.sampling import SAMPLING_RULE, sample_training_indices
from vifistore.kernels.geometry import OPENCV, resized_shape
from vifistore.kernels.opencv_linear import resize_linear
from vifistore.store.recipe import Preprocessing
from vifistore.training.options import RunOptions
from vifistore.training.order import Draws, MicroBatch, stream
from vifistore.training.settings import TrainSettings

_FILTER = Image.Resampling.BILINEAR


@dataclass(frozen=True, kw_only=True)
class Job:
    """A view to read."""

    batch: MicroBatch
    """Forward pass that it is for."""
    row: int
    """Video, as a number of the training set."""
    path: Path
    """Its file."""


class FrameReader:
    """Reads views; use it as a context manager."""

    def __init__(
        self,
        preprocessing: Preprocessing,
        settings: TrainSettings,
        options: RunOptions,
        digests: dict[int, str],
    ) -> None:
        """`digests` gets the content digest of each video, by its number, when it is read."""
        self._settings, self._options = settings, options
        # Where nothing but the centre crop is wanted the workers cut it.
        self._squares = None if settings.crop_scales else squares_of(preprocessing, 1)
        self._short_side = _short_side(preprocessing) if settings.crop_scales else 0
        self._preprocessing = preprocessing
        # The model, or what feeds it, needs the other half of the cores.
        self._num_workers = options.workers or max(1, (os.cpu_count() or 2) // 2)
        self._cache = None
        if options.frame_cache:
            self._cache = FrameCache(options.frame_cache, int(options.frame_cache_gb * 1e9))
            self._decoder_version = decoder_version(options.decoder)
        self._digests = digests

    @property
    def are_squares(self) -> bool:
        """Whether frames are cut to the tower's size already, so that normalising is left."""
        return self._squares is not None

    def __enter__(self) -> Self:
        self._pool = DecodePool(
            self._num_workers,
            frames=self._settings.candidate_frames or self._settings.num_frames,
            clips=1,
            decoder=self._options.decoder,
            timeout_seconds=self._options.timeout,
            squares=self._squares,
        )
        self._pool.__enter__()
        # A thread reads an entry, writes one, or waits for a worker.
        self._threads = ThreadPoolExecutor(2 * self._num_workers, thread_name_prefix="read")
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()
        self._threads.shutdown(cancel_futures=True)

    def read(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, np.ndarray | DecodeError]]:
        """Yield (job, uint8 [frame height width 3] or why there is none) in the jobs' order."""
        jobs = iter(jobs)
        ahead: deque[tuple[Job, Future]] = deque()
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

    def _frames(self, job: Job) -> np.ndarray | DecodeError:
        settings = self._settings
        key = (settings.seed, job.batch.epoch, job.row)
        if not settings.candidate_frames:
            draw = (int(Draws.FRAMES), *key)
            return self._chosen(self._decoded(job, draw), slice(None))
        columns = sample_training_indices(
            settings.candidate_frames, settings.num_frames, stream(Draws.FRAMES, *key)
        )
        if self._cache is None:
            return self._chosen(self._decoded(job), columns)
        return self._cached(job, columns)

    def _decoded(self, job: Job, *draw: Sequence[int]) -> DecodedVideo | DecodeError:
        decoded = self._pool.submit(job.path, *draw).result()
        if not isinstance(decoded, DecodeError):
            self._digests[job.row] = decoded.content_digest
        return decoded

    def _cached(self, job: Job, columns: np.ndarray) -> np.ndarray | DecodeError:
        """Candidates from the cache, where no more is read than wanted, or decoded and kept."""
        try:
            digest = self._digests.get(job.row) or content_digest(job.path.absolute())
        except (DecodeError, OSError):
            # Whatever is wrong with it, the pool says so.
            return self._chosen(self._decoded(job), columns)
        num_candidates = self._settings.candidate_frames

        def choose(count: int) -> Sequence[int]:
            # A short video repeats frames, so that columns are not places in its entry.
            return columns if count == num_candidates else range(count)

        video = self._cache.get(self._key(digest), choose)
        if video is None:
            video = self._decoded(job)
            if not isinstance(video, DecodeError):
                video = replace(video, frames=self._shrunk(video.frames))
                # Of what was decoded: the file may have changed since it was looked for.
                self._cache.put(self._key(video.content_digest), video)
        else:
            self._digests[job.row] = digest
            if len(np.unique(video.index)) == num_candidates:
                return video.frames
        return self._chosen(video, columns)

    def _chosen(
        self, decoded: DecodedVideo | DecodeError, columns: np.ndarray | slice
    ) -> np.ndarray | DecodeError:
        """The frames of chosen places of the clip, in memory of their own."""
        if isinstance(decoded, DecodeError):
            return decoded
        return self._shrunk(decoded.frames[decoded.index[0][columns]])

    def _shrunk(self, frames: np.ndarray) -> np.ndarray:
        """uint8 [frame height width 3] with the short side that crops are cut from.

        Pillow leaves smaller frames as they are; the released code's OpenCV makes them larger.
        """
        if not self._short_side:
            return frames
        before, backend = frames.shape[1:3], self._preprocessing.backend
        shape = resized_shape(*before, self._short_side, backend)
        is_small = min(before) <= self._short_side and backend != OPENCV
        if is_small or shape == before:
            return frames
        if backend == OPENCV:
            return np.stack([resize_linear(frame, shape) for frame in frames])
        images = (Image.fromarray(frame).resize(shape[::-1], _FILTER) for frame in frames)
        return np.stack([np.asarray(image) for image in images])

    def _key(self, digest: str) -> FrameKey:
        """The key of an extraction's entry where the frames are what one keeps."""
        return FrameKey(
            content_digest=digest,
            decoder=self._options.decoder,
            decoder_version=self._decoder_version,
            sampling={
                "rule": SAMPLING_RULE,
                "frames": self._settings.candidate_frames,
                "clips": 1,
            },
            geometry=self._preprocessing.geometry(1) if self.are_squares else self._kept_geometry(),
        )

    def _kept_geometry(self) -> dict:
        backend = self._preprocessing.backend
        if backend == OPENCV:
            return {"short_side": self._short_side, "backend": backend}
        return {"largest_short_side": self._short_side}


def _short_side(preprocessing: Preprocessing) -> int:
    """Of the frames that random crops are cut from: the paper's, 256 for a tower of 224."""
    if preprocessing.backend == OPENCV:
        return preprocessing.short_side
    return round(preprocessing.size * 256 / 224)
