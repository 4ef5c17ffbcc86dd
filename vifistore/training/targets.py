"""Targets of views: how much of each class they are to show."""

import torch
from torch import Tensor


def one_hot(labels: Tensor, num_classes: int) -> Tensor:
    """Labels `[view]` -> float32 targets `[view class]`."""
    return torch.nn.functional.one_hot(labels.long(), num_classes).float()


def smoothed(targets: Tensor, label_smoothing: float) -> Tensor:
    """Spread a share of the targets `[view class]` evenly over all classes; rows keep sum one."""
    return targets * (1 - label_smoothing) + label_smoothing / targets.shape[-1]
