"""Videos read while training goes on: decoded ahead, changed at random on the device."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from vifistore.errors import DecodeError
from vifistore.frames.plans import WHOLE_VIDEO, Span
from vifistore.frames.readers import Reader
from vifistore.progress import Progress
from vifistore.sources.footage import Footage
from vifistore.sources.roots import VideoFiles
from vifistore.store.recipe import Preprocessing
from vifistore.training.augment import augment
from vifistore.training.frame_reading import FrameReader, Reading
from vifistore.training.options import RunOptions
from vifistore.training.order import Draws, MicroBatch, stream
from vifistore.training.training_data import FrameData, Views, assemble
from vifistore.training.training_settings import TrainSettings
from vifistore.training.uploads import uploaded


@dataclass(frozen=True, kw_only=True)
class VideoSource:
    """Videos that are decoded."""

    files: Sequence[Footage] | VideoFiles
    """One per video."""
    targets: Tensor
    """float32 [video class] share of each class; every row sums to one."""
    preprocessing: Preprocessing
    """From a decoded frame to the tower's input."""
    options: RunOptions
    """How to decode."""
    spans: Sequence[Span] = ()
    """The stretch that each video is, where any is a part of its file."""
    others: Sequence[Reader] = ()
    """What a follower keeps of the videos in the same frame cache."""
    skipped: dict[int, str] = field(default_factory=dict)
    """Videos that cannot be decoded, as they are found: number -> why. They are tried once."""
    digests: dict[int, str] = field(default_factory=dict)
    """Content digests of the videos, as they are first read: number -> SHA-256."""
    has_pixels: bool = True
    """Frames are to be encoded."""

    def views(
        self, batches: Iterable[MicroBatch], settings: TrainSettings, device: torch.device
    ) -> Generator[Views | None, None, None]:
        """Yield what each micro-batch reads, None where none of its videos can be decoded."""
        begun: list[MicroBatch] = []
        rows: list[int] = []
        views: list[Tensor] = []

        def assembled(batch: MicroBatch) -> Views | None:
            if not views:
                return None
            made = assemble(torch.stack(views), self.targets, rows, batch, settings)
            views.clear()
            rows.clear()
            return made

        made = (self.preprocessing, settings, self.options, self.digests, self.others)
        with FrameReader(*made, on_gpu=device.type == "cuda") as reader:
            for job, frames in reader.read(self._jobs(batches, begun)):
                while begun[0] != job.batch:
                    yield assembled(begun.pop(0))
                if isinstance(frames, DecodeError):
                    self.skipped[job.row] = str(frames)
                    continue
                levels = uploaded(torch.from_numpy(frames), device)
                rng = stream(Draws.PIXELS, settings.seed, job.batch.epoch, job.row)
                are_squares = reader.are_squares
                views.append(
                    augment(levels, self.preprocessing, settings, rng, are_squares=are_squares)
                )
                rows.append(job.row)
        yield from map(assembled, begun)

    def _jobs(self, batches: Iterable[MicroBatch], begun: list[MicroBatch]) -> Iterator[Reading]:
        """Yield a job per view; micro-batches go to `begun` in their order."""
        for batch in batches:
            begun.append(batch)
            for row in batch.rows:
                if row not in self.skipped:
                    span = self.spans[row] if self.spans else WHOLE_VIDEO
                    yield Reading(batch=batch, row=row, footage=self.files[row], span=span)


def in_memory(videos: VideoSource, settings: TrainSettings) -> FrameData:
    """The candidate frames of all videos, prepared as an extraction does."""
    rows = range(len(videos.files))
    unchanged = replace(
        settings,
        num_frames=settings.candidate_frames,
        crop_scales=(),
        flip=0.0,
        jitter=0.0,
        grayscale=0.0,
        mixing=False,
    )
    one_by_one = (MicroBatch(step=0, epoch=0, number=row, rows=(row,)) for row in rows)
    size = videos.preprocessing.size
    frames = torch.zeros(len(videos.files), settings.candidate_frames, 3, size, size)
    read = videos.views(one_by_one, unchanged, torch.device("cpu"))
    bar = Progress(read, total=len(frames), unit="video", desc="decode into memory")
    for row, views in enumerate(bar):
        if views is not None:
            frames[row] = views.frames[0]
    known = {"skipped": videos.skipped, "digests": videos.digests}
    return FrameData(frames=frames, targets=videos.targets, **known)
