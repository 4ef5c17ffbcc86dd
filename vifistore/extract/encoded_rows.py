"""From decoded videos to embeddings: preprocessing, the tower, pooling, and the way to the host."""

from collections.abc import Iterable, Iterator

import torch

from vifistore.extract.blocks import VideoResult, done, spread
from vifistore.extract.clock import Clock
from vifistore.extract.cosines_beside import CosinesBeside
from vifistore.extract.decoded_rows import DecodedRow, RowPiece
from vifistore.extract.encoded_once import EncodedOnce
from vifistore.extract.encoder import Encoder, Outputs
from vifistore.extract.prepare import Job
from vifistore.extract.transfer import Pixels, to_host
from vifistore.frames.decoders.decoding import DecodedVideo
from vifistore.models.encoders import CLIP

_Encoded = list[tuple[DecodedRow | RowPiece, Outputs]]

# Batches of a GPU that may be queued: one computes while the next one is prepared.
_BATCHES_AHEAD = 2


class EncodedRows:
    """Encodes videos in the order in which they are decoded."""

    def __init__(self, job: Job, clock: Clock, cosines: CosinesBeside | None = None) -> None:
        """Compiling the tower may take a minute: make one only where there is work for it.
        `cosines`, which has begun, is given where texts follow the video."""
        self._job, self._clock, self._shape = job, clock, job.shape
        self._cosines = cosines
        self.encoder: Encoder[DecodedRow | RowPiece] = Encoder(
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

    def results(
        self, videos: Iterable[DecodedRow | RowPiece | VideoResult]
    ) -> Iterator[VideoResult]:
        """A result per video, on the host; those that come as results may overtake the others."""
        sees_clips = self._job.loaded.kind == CLIP
        rows_per_video = self._shape.view * (1 if sees_clips else self._shape.frame)
        most = max(2, _BATCHES_AHEAD * self.encoder.batch // rows_per_video)
        return to_host(self._encoded(videos), self._job.device, most, self._clock)

    def _encoded(
        self, videos: Iterable[DecodedRow | RowPiece | VideoResult]
    ) -> Iterator[VideoResult]:
        """As `results`, what was encoded still on the device."""
        for video in videos:
            if isinstance(video, VideoResult):
                yield video
                continue
            added = self._added(video)
            # No name for it: it would hold its memory while the next one is waited for.
            del video
            yield from self._of_rows(added)
        yield from self._of_rows(self.encoder.finish())

    def _of_rows(self, encoded: _Encoded) -> Iterator[VideoResult]:
        """The results of rows; what is made of pieces is kept for their rows."""
        for key, outputs in encoded:
            if isinstance(key, RowPiece):
                key.pieces.append(outputs)
            else:
                yield self._done(key, outputs)

    def _added(self, video: DecodedRow | RowPiece) -> _Encoded:
        """What is encoded once the frames of a row, or of a piece, are given to the encoder."""
        if isinstance(video, RowPiece):
            pieces = self._pixels.pieces(video.decoded)
            return self.encoder.add_pieces(video.without_frames(), *pieces)
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
            outputs = self._joined([*key.pieces, outputs])
            frames = spread(outputs["frames"], key.decoded, self._job.settings.crops)
            outputs = {**outputs, "frames": frames}
        result = done(key.row, key.decoded, outputs, self._shape, self._job.further)
        if self._cosines:
            with self._clock.stage("encode"), torch.inference_mode():
                mean = result.values["view_mean"]
                assert isinstance(mean, torch.Tensor), "it is still on its device"
                result.values |= self._cosines.of(mean, outputs)
        return result

    def _joined(self, parts: list[Outputs]) -> Outputs:
        """Outputs [crop*frame ...] of all frames of a row, from those of its pieces."""
        if len(parts) == 1:
            return parts[0]
        crops = self._job.settings.crops
        by_crop = [{n: value.unflatten(0, (crops, -1)) for n, value in p.items()} for p in parts]
        return {n: torch.cat([part[n] for part in by_crop], 1).flatten(0, 1) for n in parts[0]}
