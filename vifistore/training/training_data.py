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
from vifistore.training.uploads import uploaded

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
            if not rows:
                yield None
                continue
            frames = uploaded(self._drawn(rows, batch.epoch, settings, device), device).float()
            for place, row in enumerate(rows):
                if self._is_mirrored(row, batch.epoch, settings):
                    frames[place] = frames[place].flip(-1)
            yield assemble(frames, self.targets, rows, batch, settings)

    def _drawn(
        self, rows: Sequence[int], epoch: int, settings: TrainSettings, device: torch.device
    ) -> Tensor:
        """The frames that an epoch draws of some videos, `[view frame ...]` as they are kept, in
        the memory that a GPU takes them from."""
        shape = (len(rows), settings.num_frames, *self.frames.shape[2:])
        is_pinned = device.type == "cuda"
        drawn = torch.empty(shape, dtype=self.frames.dtype, pin_memory=is_pinned)
        for row, frames in zip(rows, drawn, strict=True):
            rng = stream(Draws.FRAMES, settings.seed, epoch, row)
            columns = sample_training_indices(self.frames.shape[1], settings.num_frames, rng)
            torch.index_select(self.frames[row], 0, torch.from_numpy(columns), out=frames)
        return drawn

    def _is_mirrored(self, row: int, epoch: int, settings: TrainSettings) -> bool:
        if not (self.has_pixels and settings.flip):
            return False
        return stream(Draws.PIXELS, settings.seed, epoch, row).random() < settings.flip


def require_plain_pixels(settings: TrainSettings) -> None:
    """Raise UsageError for settings that want the decoded frames."""
    faults = Faults()
    note_plain(faults, settings)
    faults.refuse()


def assemble(
    frames: Tensor,
    targets: Tensor,
    rows: Sequence[int],
    batch: MicroBatch,
    settings: TrainSettings,
) -> Views:
    """What a pass reads of frames `[view frame ...]` on their device, those of some rows of a
    micro-batch, pixels mixed if wanted; targets `[video class]` are those of all videos."""
    targets = uploaded(targets[list(rows)], frames.device)
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
