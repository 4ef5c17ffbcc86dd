"""What training reads: the frames of videos, as pixels or as embeddings of a frozen image tower."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vifistore.errors import UsageError
from vifistore.frames.decoding import decode_video
from vifistore.frames.preprocess import preprocess
from vifistore.frames.sampling import sample_training_indices
from vifistore.store.recipe import Preprocessing
from vifistore.training.settings import TrainSettings
from vifistore.training.targets import one_hot

_EMBEDDING_BATCH = 256


@dataclass(frozen=True, kw_only=True)
class FrameData:
    """Evenly spaced frames of every video of a training set, kept in memory."""

    frames: Tensor
    """float32 [video frame 3 size size] preprocessed pixels, or [video frame dim] embeddings."""
    targets: Tensor
    """float32 [video class] share of each class; every row sums to one."""

    def __post_init__(self) -> None:
        if self.frames.ndim not in (3, 5) or len(self.frames) != len(self.targets):
            raise UsageError(
                f"frames {list(self.frames.shape)} and targets {list(self.targets.shape)} do not "
                "fit; give [video frame 3 size size] or [video frame dim], and [video class]"
            )

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def has_pixels(self) -> bool:
        """Whether frames are still to be encoded."""
        return self.frames.ndim == 5


def read_videos(
    paths: Sequence[Path],
    labels: Sequence[int],
    *,
    num_classes: int,
    num_frames: int,
    preprocessing: Preprocessing,
    decoder: str = "pyav",
) -> FrameData:
    """Decode `num_frames` frames of every video and preprocess them as an extraction does.

    Raises DecodeError for the first video that cannot be decoded.
    """
    videos = []
    for path in paths:
        decoded = decode_video(path, frames=num_frames, clips=1, decoder=decoder)
        pixels = torch.from_numpy(decoded.frames[decoded.index[0]])
        videos.append(preprocess(pixels, preprocessing, 1)[0])
    return FrameData(frames=torch.stack(videos), targets=one_hot(torch.tensor(labels), num_classes))


@torch.no_grad()
def embedded(data: FrameData, clip: torch.nn.Module) -> FrameData:
    """The same videos as frame embeddings: what a frozen image tower makes of their pixels."""
    pixels = data.frames.flatten(0, 1).split(_EMBEDDING_BATCH)
    device = clip.logit_scale.device
    embeddings = torch.cat([clip.encode_image(batch.to(device)).cpu() for batch in pixels])
    frames = embeddings.unflatten(0, data.frames.shape[:2])
    return FrameData(frames=frames, targets=data.targets)


def epoch_batches(
    data: FrameData, settings: TrainSettings, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield all videos once, in random order: frames `[view frame ...]`, targets `[view class]`.

    Each view has frames of its video drawn by the training rule; pixels may be mirrored.
    """
    order, size = rng.permutation(len(data)), settings.batch_size
    for start in range(0, len(data), size):
        rows = order[start : start + size]
        frames = data.frames[rows[:, None], _draw_columns(data, settings, len(rows), rng)]
        if data.has_pixels:
            mirrored = torch.from_numpy(rng.random(len(rows)) < settings.flip)
            frames[mirrored] = frames[mirrored].flip(-1)
        yield frames, data.targets[rows]


def _draw_columns(
    data: FrameData, settings: TrainSettings, num_views: int, rng: np.random.Generator
) -> np.ndarray:
    """Which frames of each view's video to take, int64 [view frame]."""
    available = data.frames.shape[1]
    drawn = [sample_training_indices(available, settings.num_frames, rng) for _ in range(num_views)]
    return np.stack(drawn)
