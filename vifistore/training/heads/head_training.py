"""The training loop of a head, and what A5 and ActionCLIP minimise in it.

With v the pooled views of a batch and t the texts, both at unit length, and s the scale:

    A5           cross-entropy of s v t_c over all classes c, s = 1 / 0.07     (src/train.py)
    ActionCLIP   t_j: a template, drawn anew, of the class of view j; see
                 `vifistore.training.systems.likeness_loss`                    (train.py)

A5 samples wrong classes up to 400 in all; that is every class of the data sets it is used on.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from vifistore.errors import ModelError
from vifistore.kernels.fusion_cross_entropy import fusion_cross_entropy
from vifistore.models.openclip_model import OpenClipModel
from vifistore.training.heads.a5_prompts import check_room, check_text_tower, tokenise_names
from vifistore.training.heads.head_data import HeadData, epoch_batches
from vifistore.training.heads.head_files import Head
from vifistore.training.heads.head_settings import FitSettings, HeadSettings
from vifistore.training.heads.head_texts import encode_for_head, logit_scale
from vifistore.training.schedule import learning_rate_at
from vifistore.training.systems.likeness_loss import actionclip_loss, cosines_of

_FIRST_BETA = 0.9


@dataclass(frozen=True, kw_only=True)
class HeadProgress:
    """Where a run stands at the end of an epoch."""

    epoch: int
    """Epochs done."""
    epochs: int
    """Epochs of the whole run."""
    step: int
    """Steps done."""
    loss: float
    """Mean loss over the videos of this epoch."""
    accuracy: float
    """Share of its training videos whose own class was the nearest."""


# Pooled views [view dim] and labels [view] -> loss, and texts [class dim] to find the nearest.
Objective = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def fit_head(
    head: Head,
    loaded: OpenClipModel,
    data: HeadData,
    settings: HeadSettings,
    *,
    after_epoch: Callable[[HeadProgress], None],
) -> HeadProgress:
    """Train a head in place, on the device of the model, whose towers stay as they are.

    Equal settings, data and weights give equal heads on one machine with one thread count. Raises
    ModelError as soon as the loss is not a finite number.
    """
    fit = settings.of_fit()
    device = next(loaded.clip.parameters()).device
    loaded.clip.requires_grad_(False)
    modules = head.modules.to(device).train()
    rng = np.random.default_rng(settings.seed)
    objective = _OBJECTIVES[head.header.kind](head, loaded, data.class_names, rng)
    optimiser = torch.optim.AdamW(
        modules.parameters(),
        lr=fit.learning_rate,
        betas=(_FIRST_BETA, fit.second_beta),
        weight_decay=fit.weight_decay,
        fused=True,
    )
    steps_per_epoch = math.ceil(len(data) / fit.batch_size)
    step, progress = 0, None
    for epoch in range(fit.epochs):
        total = num_right = 0.0
        for frames, labels in epoch_batches(data, fit.batch_size, rng):
            views, labels = head.pooling(frames.to(device)), labels.to(device)
            loss, text = objective(views, labels)
            total += _update(optimiser, loss, _rate(fit, step, steps_per_epoch)) * len(labels)
            num_right += int((cosines_of(views.detach(), text).argmax(1) == labels).sum())
            step += 1
        progress = HeadProgress(
            epoch=epoch + 1,
            epochs=fit.epochs,
            step=step,
            loss=total / len(data),
            accuracy=num_right / len(data),
        )
        after_epoch(progress)
    modules.eval().requires_grad_(False)
    assert progress is not None, "there is at least one epoch"
    return progress


def a5_objective(
    head: Head, loaded: OpenClipModel, class_names: Sequence[str], rng: np.random.Generator
) -> Objective:
    """Cross-entropy over all classes, whose texts are made anew at every step."""
    check_text_tower(loaded)
    names, prompts = tokenise_names(loaded, class_names), head.prompts
    assert prompts is not None, "A5 learns prompts"
    check_room(names, prompts.num_each_side)
    names = names.to(next(loaded.clip.parameters()).device)
    scale = torch.tensor(logit_scale(head), device=names.device)

    def objective(views: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        text = prompts(loaded.clip, names)
        targets = one_hot(labels, len(text)).float()
        # A view that is pooled already is a view of one frame.
        loss = fusion_cross_entropy(views[:, None], text, scale, targets, "embedding")
        return loss, text.detach()

    return objective


def actionclip_objective(
    head: Head, loaded: OpenClipModel, class_names: Sequence[str], rng: np.random.Generator
) -> Objective:
    """Divergence of the likeness of views and texts of a batch from that of their classes."""
    embeddings = torch.from_numpy(encode_for_head(head, loaded, class_names))
    prompts = normalize(embeddings.to(next(loaded.clip.parameters()).device), dim=-1)
    nearest = prompts.mean(1)

    def objective(views: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        drawn = torch.from_numpy(rng.integers(prompts.shape[1], size=len(labels)))
        text = prompts[labels, drawn.to(labels.device)]
        return actionclip_loss(views, text, labels, logit_scale(head)), nearest

    return objective


_OBJECTIVES = {
    "a5": a5_objective,
    "a6": a5_objective,
    "actionclip-transf": actionclip_objective,
}


def _rate(fit: FitSettings, step: int, steps_per_epoch: int) -> float:
    return learning_rate_at(
        step,
        num_steps=fit.epochs * steps_per_epoch,
        num_warmup_steps=round(fit.warmup_epochs * steps_per_epoch),
        highest=fit.learning_rate,
        final_ratio=fit.final_ratio,
    )


def _update(optimiser: torch.optim.Optimizer, loss: Tensor, learning_rate: float) -> float:
    """Make one step and return the loss it started from."""
    value = loss.item()
    if not math.isfinite(value):
        raise ModelError(f"the loss is {value}; give a lower --learning-rate")
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return value
