"""From decoded videos to embeddings: preprocessing, the tower, pooling, and the way to the host."""

from collections.abc import Iterable, Iterator

import torch

from vifistore.extract.blocks import VideoResult, done, spread
from vifistore.extract.clock import Clock
from vifistore.extract.cosines_beside import CosinesBeside
from vifistore.extract.decoded_rows import DecodedRow
from vifistore.extract.encoded_once import EncodedOnce
from vifistore.extract.encoder import Encoder, Outputs
from vifistore.extract.prepare import Job
from vifistore.extract.transfer import Pixels, to_host
from vifistore.frames.decoding import DecodedVideo
from vifistore.models.encoders import CLIP

# Batches of a GPU that may be queued: one computes while the next one is prepared.
_BATCHES_AHEAD = 2


class EncodedRows:
    """Encodes videos in the order in which they are decoded."""

    def __init__(self, job: Job, clock: Clock, cosines: CosinesBeside | None = None) -> None:
        """Compiling the tower may take a minute: make one only where there is work for it.
        `cosines`, which has begun, is given where texts follow the video."""
        self._job, self._clock, self._shape = job, clock, job.shape
        self._cosines = cosines
        self.encoder: Encoder[DecodedRow] = Encoder(
            job.loaded,
            precision=job.recipe.precision,
            device=job.device,
            batch=job.settings.batch,
            compiled=job.settings.compile,
            clock=clock,
            frames=job.settings.num_frames,
        )
        self._once = EncodedOnce(job.settings.crops)
        self._pixels = Pixels(
            job.recipe.preprocessing,
            crops=job.settings.crops,
            device=job.device,
            dtype=self.encoder.dtype,
            clock=clock,
        )

    def results(self, videos: Iterable[DecodedRow | VideoResult]) -> Iterator[VideoResult]:
        """A result per video, on the host; those that come as results may overtake the others."""
        sees_clips = self._job.loaded.kind == CLIP
        rows_per_video = self._shape.view * (1 if sees_clips else self._shape.frame)
        most = max(2, _BATCHES_AHEAD * self.encoder.batch // rows_per_video)
        return to_host(self._encoded(videos), self._job.device, most, self._clock)

    def _encoded(self, videos: Iterable[DecodedRow | VideoResult]) -> Iterator[VideoResult]:
        """As `results`, what was encoded still on the device."""
        for video in videos:
            if isinstance(video, VideoResult):
                yield video
                continue
            for key, outputs in self._added(video):
                yield self._done(key, outputs)
        for key, outputs in self.encoder.finish():
            yield self._done(key, outputs)

    def _added(self, video: DecodedRow) -> list[tuple[DecodedRow, Outputs]]:
        """The videos that are encoded once this one's frames are given to the encoder."""
        decoded = self._new_frames(video)
        if self._job.loaded.kind == CLIP:
            rows = spread(self._pixels.of(decoded), video.decoded, self._job.settings.crops)
            return self.encoder.add(video.without_frames(), rows)
        return self.encoder.add_pieces(video.without_frames(), *self._pixels.pieces(decoded))

    def _new_frames(self, video: DecodedRow) -> DecodedVideo:
        """The video with the frames that are to be encoded for it."""
        shares = video.overlapping and self._job.loaded.kind != CLIP
        return self._once.to_encode(video.overlapping, video.decoded) if shares else video.decoded

    def _done(self, key: DecodedRow, outputs: Outputs) -> VideoResult:
        loaded = self._job.loaded
        if loaded.kind != CLIP:
            if key.overlapping:
                outputs = self._once.complete(key.overlapping, key.decoded, outputs)
            frames = spread(outputs["frames"], key.decoded, self._job.settings.crops)
            outputs = {**outputs, "frames": frames}
        result = done(key.row, key.decoded, outputs, self._shape, self._job.further)
        if self._cosines:
            with self._clock.stage("encode"), torch.inference_mode():
                mean = result.values["view_mean"]
                assert isinstance(mean, torch.Tensor), "it is still on its device"
                result.values |= self._cosines.of(mean, outputs)
        return result
