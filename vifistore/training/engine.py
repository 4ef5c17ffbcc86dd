"""The training loop: AdamW over frames and the texts of the classes."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from vifistore.errors import ModelError
from vifistore.kernels.fusion_cross_entropy import fusion_cross_entropy
from vifistore.training.data import FrameData, embedded, epoch_batches
from vifistore.training.schedule import learning_rate_at
from vifistore.training.settings import Trains, TrainSettings
from vifistore.training.targets import smoothed


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run stands at the end of an epoch."""

    epoch: int
    """Epochs done."""
    step: int
    """Steps done."""
    num_steps: int
    """Steps of the whole run."""
    loss: float
    """Mean loss over the steps of this epoch."""


def ignore(progress: Progress) -> None:
    """Do nothing after an epoch."""


def fit(
    clip: nn.Module,
    data: FrameData,
    class_tokens: Tensor,
    settings: TrainSettings,
    *,
    after_epoch: Callable[[Progress], None] = ignore,
) -> int:
    """Train an OpenCLIP model in place and return the number of steps.

    Parameters
    ----------
    clip
        The model, on the device to train on.
    data
        Videos; where only the text tower is trained, their pixels are encoded once, at the start.
    class_tokens
        Tokenised texts of the classes `[class token]`, in the order of the targets.
    settings
        Equal settings, data and weights give equal weights on one machine with one thread count.
    after_epoch
        Called after every epoch.

    Raises ModelError as soon as the loss is not a finite number.
    """
    parameters = choose_trained(clip, settings.trains)
    if settings.trains == "text" and data.has_pixels:
        data = embedded(data, clip)
    optimiser = torch.optim.AdamW(
        parameters, betas=settings.betas, weight_decay=settings.weight_decay, fused=True
    )
    loss_of = _LossOfBatch(clip, class_tokens.to(clip.logit_scale.device), settings)
    rng = np.random.default_rng(settings.seed)
    steps_per_epoch = math.ceil(len(data) / settings.batch_size)
    num_steps = steps_per_epoch * settings.epochs
    step = 0
    for epoch in range(settings.epochs):
        total = 0.0
        for frames, targets in epoch_batches(data, settings, rng):
            rate = _learning_rate(settings, step, num_steps, steps_per_epoch)
            total += _update(optimiser, rate, loss_of(frames, targets), step)
            step += 1
        loss = total / steps_per_epoch
        after_epoch(Progress(epoch=epoch + 1, step=step, num_steps=num_steps, loss=loss))
    clip.requires_grad_(False)
    return step


def choose_trained(clip: nn.Module, trains: Trains) -> list[nn.Parameter]:
    """Let exactly the parameters that `trains` names take gradients, and return them.

    The token embedding never does; the logit scale only in a full run (ViFi-CLIP, section 3.1).
    """
    for name, parameter in clip.named_parameters():
        part = "image" if name.startswith("visual.") else _TEXT_PARTS.get(name, "text")
        parameter.requires_grad_(part == trains or (trains == "full" and part != "never"))
    return [parameter for parameter in clip.parameters() if parameter.requires_grad]


_TEXT_PARTS = {"token_embedding.weight": "never", "logit_scale": "both towers"}


class _LossOfBatch:
    """Loss of a batch; the text tower runs once per step, or once in all if it is frozen."""

    def __init__(self, clip: nn.Module, class_tokens: Tensor, settings: TrainSettings) -> None:
        self._clip, self._class_tokens, self._settings = clip, class_tokens, settings
        self._frozen_text = None
        if settings.trains == "image":
            with torch.no_grad():
                self._frozen_text = clip.encode_text(class_tokens)

    def __call__(self, frames: Tensor, targets: Tensor) -> Tensor:
        """frames `[view frame 3 size size]` or `[view frame dim]`, targets `[view class]`."""
        device = self._clip.logit_scale.device
        frames = frames.to(device)
        if frames.ndim == 5:
            frames = self._clip.encode_image(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        text = self._frozen_text
        if text is None:
            text = self._clip.encode_text(self._class_tokens)
        targets = smoothed(targets.to(device), self._settings.label_smoothing)
        scale = self._clip.logit_scale.exp()
        return fusion_cross_entropy(frames, text, scale, targets, self._settings.fusion)


def _learning_rate(
    settings: TrainSettings, step: int, num_steps: int, steps_per_epoch: int
) -> float:
    return learning_rate_at(
        step,
        num_steps=num_steps,
        num_warmup_steps=round(settings.warmup_epochs * steps_per_epoch),
        highest=settings.learning_rate,
        final_ratio=settings.final_ratio,
    )


def _update(
    optimiser: torch.optim.Optimizer, learning_rate: float, loss: Tensor, step: int
) -> float:
    """Make one step and return the loss it started from."""
    value = loss.item()
    if not math.isfinite(value):
        raise ModelError(f"the loss is {value} at step {step}; use a lower learning rate")
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return value
