"""All videos of a training set in memory, decoded once."""

from dataclasses import replace

import torch

from vifistore.progress import Progress
from vifistore.training.order import MicroBatch
from vifistore.training.training_data import FrameData
from vifistore.training.training_settings import TrainSettings
from vifistore.training.videos import VideoSource


def in_memory(videos: VideoSource, settings: TrainSettings) -> FrameData:
    """The candidate frames of all videos, prepared as an extraction does."""
    everything = MicroBatch(step=0, epoch=0, number=0, rows=tuple(range(len(videos.paths))))
    unchanged = replace(
        settings,
        num_frames=settings.candidate_frames,
        crop_scales=(),
        flip=0.0,
        jitter=0.0,
        grayscale=0.0,
        mixing=False,
    )
    one_by_one = (replace(everything, number=row, rows=(row,)) for row in everything.rows)
    size = videos.preprocessing.size
    frames = torch.zeros(len(videos.paths), settings.candidate_frames, 3, size, size)
    read = videos.views(one_by_one, unchanged, torch.device("cpu"))
    bar = Progress(read, total=len(frames), unit="video", desc="decode into memory")
    for row, views in enumerate(bar):
        if views is not None:
            frames[row] = views.frames[0]
    known = {"skipped": videos.skipped, "digests": videos.digests}
    return FrameData(frames=frames, targets=videos.targets, **known)
