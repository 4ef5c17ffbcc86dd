"""Which videos make up which step: a pure function of seed, epoch and step."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np

from vifistore.errors import UsageError
from vifistore.training.training_settings import TrainSettings

# On so many GPUs the released code was run.
_RELEASED_GPUS = 8


class Draws(IntEnum):
    """What random numbers are for; each use has a stream of its own."""

    ORDER = 0
    FRAMES = 1
    PIXELS = 2
    MIXING = 3
    TEXTS = 4


def stream(purpose: Draws, *key: int) -> np.random.Generator:
    """Random numbers that depend on the purpose and the key (seed, epoch, video ...) alone."""
    return np.random.default_rng((int(purpose), *key))


@dataclass(frozen=True, kw_only=True)
class MicroBatch:
    """Videos of one forward pass."""

    step: int
    """Step of the run, from 0."""
    epoch: int
    """Epoch, from 0."""
    number: int
    """Place in the step, over all processes."""
    rows: tuple[int, ...]
    """Videos, as numbers of the training set."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """The order of all videos of a run.

    Every process walks through the same steps and takes every `world`-th micro-batch of each, so
    that a step is the same whatever the number of processes.
    """

    num_videos: int
    settings: TrainSettings
    world: int = 1
    """Processes."""

    def __post_init__(self) -> None:
        if self.steps_per_epoch == 0:
            raise UsageError(
                f"{self.num_videos} videos make no batch of {self.settings.batch_size}; give a "
                "smaller --batch-size or --no-drop-last"
            )
        if -(-self.settings.batch_size // self.micro_batch) < self.world:
            raise UsageError(
                f"a batch of {self.settings.batch_size} in forward passes of {self.micro_batch} "
                f"leaves some of {self.world} processes idle; give a smaller --micro-batch"
            )

    @property
    def micro_batch(self) -> int:
        """Videos per forward pass."""
        return self.settings.micro_batch or -(-self.settings.batch_size // self.world)

    @property
    def released_gpus(self) -> int:
        """How many GPUs share a step in the released code; 1 where the sizes are none of its."""
        together = _RELEASED_GPUS * self.settings.micro_batch
        is_shared = together and self.settings.batch_size % together == 0
        return _RELEASED_GPUS if is_shared else 1

    @property
    def places_per_epoch(self) -> int:
        """Videos of an epoch, all but the first few of which come once.

        The released code's sampler begins again until its GPUs have as many each.
        """
        gpus = self.released_gpus if self.settings.released_data else 1
        return -(-self.num_videos // gpus) * gpus

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch."""
        share = self.places_per_epoch / self.settings.batch_size
        return math.floor(share) if self.settings.drop_last else math.ceil(share)

    @property
    def num_steps(self) -> int:
        """Steps of the run."""
        return self.steps_per_epoch * self.settings.epochs

    def step(self, step: int) -> list[MicroBatch]:
        """All micro-batches of a step."""
        epoch, position = divmod(step, self.steps_per_epoch)
        order = _permutation(self.settings.seed, epoch, self.num_videos)
        first = position * self.settings.batch_size
        positions = range(first, min(first + self.settings.batch_size, self.places_per_epoch))
        rows = order.take(positions, mode="wrap")
        parts = range(0, len(rows), self.micro_batch)
        return [
            MicroBatch(
                step=step,
                epoch=epoch,
                number=number,
                rows=tuple(rows[start : start + self.micro_batch].tolist()),
            )
            for number, start in enumerate(parts)
        ]

    def from_step(self, first: int, rank: int) -> Iterator[MicroBatch]:
        """The micro-batches of one process, from a step on."""
        for step in range(first, self.num_steps):
            yield from self.step(step)[rank :: self.world]


# The data run ahead of the steps, at times by an epoch.
@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, num_videos: int) -> np.ndarray:
    return stream(Draws.ORDER, seed, epoch).permutation(num_videos)
