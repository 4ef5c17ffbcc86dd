"""What training reads: the views of each forward pass, from memory or from videos."""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from vifistore.errors import Faults, UsageError
from vifistore.frames.sampling import sample_training_indices
from vifistore.models.openclip_parts import Clip
from vifistore.store.identity import TunedOn
from vifistore.store.recipe import Preprocessing
from vifistore.training.faults import note_plain
from vifistore.training.mixing import mix
from vifistore.training.order import Draws, MicroBatch, stream
from vifistore.training.training_settings import TrainSettings

_EMBEDDING_BATCH = 256


@dataclass(frozen=True, kw_only=True)
class Views:
    """What one forward pass reads; a video that could not be read is not in it."""

    frames: Tensor
    """float32 [view frame 3 size size] pixels, or [view frame dim] embeddings."""
    targets: Tensor
    """float32 [view class], on the same device."""
    rows: tuple[int, ...]
    """The video of each view, as a number of the training set."""
    epoch: int
    """Epoch, from 0."""


class TrainingSource(Protocol):
    """The videos of a training set."""

    @property
    def targets(self) -> Tensor:
        """float32 [video class] share of each class; every row sums to one."""
        ...

    @property
    def has_pixels(self) -> bool:
        """Whether frames are still to be encoded."""
        ...

    @property
    def skipped(self) -> dict[int, str]:
        """Videos that cannot be read, as far as is known: number -> why."""
        ...

    @property
    def digests(self) -> dict[int, str]:
        """Content digests of the videos read so far: number -> SHA-256."""
        ...

    def views(
        self, batches: Iterable[MicroBatch], settings: TrainSettings, device: torch.device
    ) -> Generator[Views | None, None, None]:
        """Yield what each micro-batch reads, None where none of its videos can be read.

        It depends on the settings and the micro-batch alone.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """Videos to train on, and what they are."""

    source: TrainingSource
    """The videos; targets are in the order of `class_names`."""
    class_names: Sequence[str]
    """Classes, as their dataset spells them."""
    data: dict = field(default_factory=dict)
    """Dataset, split and what was read, as plain JSON values; a stopped run goes on only with the
    same."""
    tuned_on: TunedOn | None = None
    """Dataset, split and classes that checkpoints say they were tuned on, without the videos, which
    are read later; None for what are no videos of a dataset."""
    preprocessing: Preprocessing | None = None
    """How its frames were made from videos; None for that of the settings."""
    reads: dict = field(default_factory=dict)
    """What a follower is told of its frames: see `vifistore.extract.trainer_frames`."""


@dataclass(frozen=True, kw_only=True)
class FrameData:
    """Evenly spaced frames of every video of a training set, kept in memory."""

    frames: Tensor
    """[video frame 3 size size] preprocessed pixels, or [video frame dim] embeddings."""
    targets: Tensor
    """float32 [video class] share of each class; every row sums to one."""
    skipped: dict[int, str] = field(default_factory=dict)
    """Videos whose frames are not there: number -> why."""
    digests: dict[int, str] = field(default_factory=dict)
    """Content digests of the others, where they are known: number -> SHA-256."""

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

    def views(
        self, batches: Iterable[MicroBatch], settings: TrainSettings, device: torch.device
    ) -> Generator[Views | None, None, None]:
        """Yield what each micro-batch reads; pixels may be mirrored and mixed.

        Raises UsageError for pixels and settings that want the decoded frames.
        """
        if self.has_pixels:
            require_plain_pixels(settings)
        for batch in batches:
            rows = [row for row in batch.rows if row not in self.skipped]
            views = [self._view(row, batch.epoch, settings) for row in rows]
            yield assemble(views, self.targets, rows, batch, settings, device)

    def _view(self, row: int, epoch: int, settings: TrainSettings) -> Tensor:
        key = (settings.seed, epoch, row)
        frames = self.frames[row]
        columns = sample_training_indices(
            len(frames), settings.num_frames, stream(Draws.FRAMES, *key)
        )
        frames = frames[torch.from_numpy(columns)].float()
        if self.has_pixels and settings.flip:
            mirrored = stream(Draws.PIXELS, *key).random() < settings.flip
            frames = frames.flip(-1) if mirrored else frames
        return frames


def require_plain_pixels(settings: TrainSettings) -> None:
    """Raise UsageError for settings that want the decoded frames."""
    faults = Faults()
    note_plain(faults, settings)
    faults.refuse()


def assemble(
    views: list[Tensor],
    targets: Tensor,
    rows: Sequence[int],
    batch: MicroBatch,
    settings: TrainSettings,
    device: torch.device,
) -> Views | None:
    """Views `[frame ...]` of some rows of a micro-batch in one tensor on the device, pixels mixed
    if wanted; targets `[video class]` are those of all videos."""
    if not views:
        return None
    frames, targets = torch.stack(views), targets[list(rows)]
    if device.type == "cuda" and frames.device.type == "cpu":
        frames, targets = frames.pin_memory(), targets.pin_memory()
    frames, targets = (t.to(device, non_blocking=True) for t in (frames, targets))
    if settings.mixing and frames.ndim == 5:
        rng = stream(Draws.MIXING, settings.seed, batch.step, batch.number)
        frames, targets = mix(frames, targets, rng)
    return Views(frames=frames, targets=targets, rows=tuple(rows), epoch=batch.epoch)


@torch.no_grad()
def embedded(data: FrameData, clip: Clip) -> FrameData:
    """The same videos as frame embeddings: what a frozen image tower makes of their pixels.

    They are float16, as the store keeps them, so that both ways to train give one loss curve.
    """
    pixels = data.frames.flatten(0, 1).split(_EMBEDDING_BATCH)
    device = clip.logit_scale.device
    embeddings = torch.cat([clip.visual(batch.to(device)).half().cpu() for batch in pixels])
    frames = embeddings.unflatten(0, data.frames.shape[:2])
    return replace(data, frames=frames)
