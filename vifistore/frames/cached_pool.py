"""A decode pool that decodes a video only where the frame cache lacks its frames."""

from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
import torch

from vifistore.errors import DecodeError
from vifistore.frames.decoding import DecodedVideo, content_digest, decoder_version
from vifistore.frames.frame_cache import FrameCache, FrameKey
from vifistore.frames.pool import DecodePool
from vifistore.frames.preprocess import preprocess
from vifistore.frames.sampling import SAMPLING_RULE
from vifistore.store.recipe import Preprocessing

Key = TypeVar("Key", bound=Hashable)

# Normalising with these gives level / 255, from which the level can be told exactly.
_PLAIN_MEAN, _PLAIN_STD = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


class CachedPool:
    """Gives the videos of a pool resized and cropped, from the cache where it has them.

    `normalise(video.frames, preprocessing)` then gives, number for number, what preprocessing the
    decoded frames would. Use it as a context manager, inside that of the pool.
    """

    def __init__(
        self,
        pool: DecodePool,
        cache: FrameCache,
        preprocessing: Preprocessing,
        crops: int,
        *,
        frames: int,
        clips: int,
        decoder: str,
        num_threads: int,
    ) -> None:
        """`frames`, `clips` and `decoder` are those of the pool.

        `num_threads` is at best twice its workers: a thread reads an entry, writes one, or waits
        for a worker.
        """
        self._pool, self._cache = pool, cache
        self._wanted, self._wanted_crops = preprocessing, crops
        self._decoder, self._decoder_version = decoder, decoder_version(decoder)
        self._sampling = {"rule": SAMPLING_RULE, "frames": frames, "clips": clips}
        self._num_threads = num_threads
        self._threads = ThreadPoolExecutor(num_threads, thread_name_prefix="frame-cache")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def decode(
        self, jobs: Iterable[tuple[Key, str | Path]]
    ) -> Iterator[tuple[Key, DecodedVideo | DecodeError]]:
        """As `DecodePool.decode`, but `frames` is uint8 [crop*distinct size size 3].

        `width` and `height` are those of the decoded frames.
        """
        jobs = iter(jobs)
        ahead: deque[tuple[Key, Future]] = deque()
        try:
            while True:
                for key, path in islice(jobs, 2 * self._num_threads - len(ahead)):
                    ahead.append((key, self._threads.submit(self._find, Path(path))))
                if not ahead:
                    return
                key, future = ahead.popleft()
                yield key, future.result()
        finally:
            for _, future in ahead:
                future.cancel()

    def _find(self, path: Path) -> DecodedVideo | DecodeError:
        try:
            video = self._cache.get(self._key(content_digest(path.absolute())))
        except (DecodeError, OSError):
            # Whatever is wrong with it, the pool says so.
            video = None
        if video is not None:
            return replace(video, are_squares=True)
        decoded = self._pool.submit(path).result()
        if isinstance(decoded, DecodeError):
            return decoded
        video = decoded
        if not video.are_squares:
            video = replace(decoded, frames=self._cut(decoded.frames), are_squares=True)
        self._cache.put(self._key(video.content_digest), video)
        return video

    def _key(self, digest: str) -> FrameKey:
        return FrameKey(
            content_digest=digest,
            decoder=self._decoder,
            decoder_version=self._decoder_version,
            sampling=self._sampling,
            geometry=self._wanted.geometry(self._wanted_crops),
        )

    def _cut(self, frames: np.ndarray) -> np.ndarray:
        """uint8 [frame height width 3] -> uint8 [crop*frame size size 3]: what is normalised."""
        plain = replace(self._wanted, mean=_PLAIN_MEAN, std=_PLAIN_STD)
        pixels = preprocess(torch.from_numpy(frames), plain, self._wanted_crops)
        levels = pixels.flatten(0, 1).mul_(255).round_().to(torch.uint8)
        return levels.permute(0, 2, 3, 1).contiguous().numpy()
