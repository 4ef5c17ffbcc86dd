"""Weights made of those that training went through: a running average, and a blend with its start.

Both cost one more checkpoint and no training; the papers that follow ViFi-CLIP gain most of their
zero-shot accuracy by them (Open-VCLIP: half of the original CLIP and an average over epochs).
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


class RunningAverage:
    """`average = decay * average + (1 - decay) * weights` after each step."""

    def __init__(self, weights: Mapping[str, Tensor], decay: float) -> None:
        """weights: those that are trained, by name."""
        self._decay = decay
        self.tensors = {name: weight.detach().clone() for name, weight in weights.items()}

    @torch.no_grad()
    def update(self, weights: Mapping[str, Tensor]) -> None:
        """Take in the weights of a step, by name, `[...]` as at the start."""
        names = list(self.tensors)
        averages, now = ([t[name] for name in names] for t in (self.tensors, weights))
        now = [weight.detach() for weight in now]
        # torch's stubs leave these functions out.
        torch._foreach_lerp_(averages, now, 1 - self._decay)  # pyright: ignore[reportPrivateImportUsage]

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from an average that was saved in a state dict of weights `[...]`."""
        for name, average in self.tensors.items():
            average.copy_(state[name])


def blend_kind(share: float) -> str:
    """What a blend with this share of the trained weights is called: blend-0.5, in decimals."""
    return f"blend-{np.format_float_positional(share, trim='-')}"


def blended(start: Mapping[str, Tensor], end: Mapping[str, Tensor], share: float) -> dict:
    """`(1 - share) * start + share * end` of every tensor `[...]` of two state dicts.

    What training left alone stays bit-equal; what the start has not is taken from the end.
    """
    return {name: _between(start.get(name), tensor, share) for name, tensor in end.items()}


def _between(start: Tensor | None, end: Tensor, share: float) -> Tensor:
    if start is None or torch.equal(end, start):
        return end
    return torch.lerp(start, end, share)
