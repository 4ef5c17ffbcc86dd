"""A video decoded once for all who want frames of it, such as a trainer and its follower.

What a reader gets is, number for number, what it would get alone. Where it might not be, since a
frame that another one wants could not be read, the video is decoded for each alone.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace

import numpy as np

from vifistore.errors import DecodeError
from vifistore.frames.decoders.decoding import DecodedVideo, decoder_version
from vifistore.frames.digests import content_digest
from vifistore.frames.frame_cache import FrameCache, FrameKey
from vifistore.frames.plans import WHOLE_VIDEO, Sampling, Span
from vifistore.frames.processes.pool import DecodePool
from vifistore.frames.raw_frames import split_plan
from vifistore.frames.readers import Reader
from vifistore.frames.squares import Squares
from vifistore.sources.footage import Footage

Choose = Callable[[int], Sequence[int]]


class SharedFrames:
    """Frames from the cache, or decoded and put there for every reader."""

    def __init__(
        self, pool: DecodePool, cache: FrameCache, decoder: str, squares: Squares | None
    ) -> None:
        """`decoder` and `squares` are those of the pool; each reader's squares are the same, or
        `squares` is None."""
        self._pool, self._cache = pool, cache
        self._decoder, self._decoder_version = decoder, decoder_version(decoder)
        self._squares = squares

    def find(
        self,
        footage: Footage,
        own: Reader,
        others: Sequence[Reader] = (),
        *,
        span: Span = WHOLE_VIDEO,
        digest: str = "",
        choose: Choose | None = None,
    ) -> DecodedVideo | DecodeError:
        """What `own` keeps of a video, of which the pool decodes by its sampling.

        Parameters
        ----------
        others
            What is kept at the same time, if it has to be decoded.
        span
            The stretch of the video that is wanted.
        digest
            Content digest of the file, where it is known.
        choose
            As that of `FrameCache.get`.
        """
        digest = digest or self._digest(footage)
        found = self._get(own, digest, span, choose)
        if found is not None:
            return found
        with self._cache.claim(digest) if digest else nullcontext():
            # Whoever had it has decoded it, perhaps for this reader as well.
            found = self._get(own, digest, span, choose)
            if found is not None:
                return found
            missing = self._missing(others, digest, span, own)
            video = self._decoded(footage, span, own.sampling, None, missing)
            if isinstance(video, DecodeError):
                return video
            video = self._keep(own, span, video)
        rows = slice(None) if choose is None else list(choose(len(video.frames)))
        return replace(video, frames=video.frames[rows])

    def drawn(
        self,
        footage: Footage,
        own: Reader,
        draw: Sequence[int],
        others: Sequence[Reader],
        digest: str,
        span: Span = WHOLE_VIDEO,
    ) -> DecodedVideo | DecodeError:
        """As `find`, but a random clip of the training rule, of which nothing is kept."""
        digest = digest or self._digest(footage)
        with self._cache.claim(digest) if digest else nullcontext():
            missing = self._missing(others, digest, span)
            video = self._decoded(footage, span, own.sampling, draw, missing)
        return video if isinstance(video, DecodeError) else self._cut(own, video)

    def _digest(self, footage: Footage) -> str:
        try:
            return content_digest(footage)
        except (DecodeError, OSError):
            # Whatever is wrong with it, the pool says so.
            return ""

    def _get(
        self, own: Reader, digest: str, span: Span, choose: Choose | None
    ) -> DecodedVideo | None:
        found = self._cache.get(self._key(own, digest, span), choose) if digest else None
        return found and replace(found, are_squares=own.preprocessing is not None)

    def _key(self, kept: Reader, digest: str, span: Span) -> FrameKey:
        return kept.key(digest, self._decoder, self._decoder_version, span)

    def _missing(
        self, others: Sequence[Reader], digest: str, span: Span, *own: Reader
    ) -> list[Reader]:
        """Those of the others of which the cache has nothing."""
        known = {self._key(kept, digest, span).digest for kept in own}
        missing = []
        for kept in others:
            key = self._key(kept, digest, span)
            if key.digest not in known and not self._cache.has(key):
                missing.append(kept)
            known.add(key.digest)
        return missing

    def _decoded(
        self,
        footage: Footage,
        span: Span,
        own: Sampling,
        draw: Sequence[int] | None,
        others: Sequence[Reader],
    ) -> DecodedVideo | DecodeError:
        """The frames of `own`, as the pool gives them; those of `others` are put into the cache."""
        samplings = [own, *(kept.sampling for kept in others)]
        # How many frames there are at a rate is not known before, so that nobody could part them.
        if not others or any(sampling.has_rate for sampling in samplings):
            return self._pool.submit(footage, draw, span=span).result()
        video = self._pool.submit(footage, draw, also=samplings[1:], span=span).result()
        if isinstance(video, DecodeError) or video.was_retried:
            return self._pool.submit(footage, draw, span=span).result()
        first, *further = self._parts(video, samplings)
        for kept, part in zip(others, further, strict=True):
            self._keep(kept, span, part)
        return first

    def _parts(self, video: DecodedVideo, samplings: Sequence[Sampling]) -> list[DecodedVideo]:
        """What decoding by each of the samplings gives, from what decoding by all gave."""
        num_crops = self._squares.crops if self._squares else 1
        frames = video.frames.reshape(num_crops, -1, *video.frames.shape[1:])
        ends = np.cumsum([sampling.frames * sampling.clips for sampling in samplings])[:-1]
        places = zip(
            *(np.split(values[0], ends) for values in (video.index, video.timestamps)),
            samplings,
            strict=True,
        )
        parts = []
        for planned, seconds, sampling in places:
            shape = (sampling.clips, sampling.frames)
            wanted, index = split_plan(planned.reshape(shape))
            part = replace(
                video,
                frames=frames[:, wanted].reshape(-1, *frames.shape[2:]),
                index=index,
                timestamps=seconds.reshape(shape),
                numbers=tuple(video.numbers[number] for number in wanted),
            )
            parts.append(part)
        return parts

    def _keep(self, kept: Reader, span: Span, decoded: DecodedVideo) -> DecodedVideo:
        """Put what is kept of a decoded video into the cache, and return it."""
        video = self._cut(kept, decoded)
        # Of what was decoded: the file may have changed since it was looked for.
        self._cache.put(self._key(kept, video.content_digest, span), video)
        return video

    def _cut(self, kept: Reader, decoded: DecodedVideo) -> DecodedVideo:
        """The frames of `kept`, unless the workers have cut them already."""
        if decoded.are_squares:
            return decoded
        frames = kept.cut(decoded.frames)
        return replace(decoded, frames=frames, are_squares=kept.preprocessing is not None)
