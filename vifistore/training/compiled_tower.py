"""An image tower that is compiled for one number of rows, and given no other."""

import logging
from typing import Any

import torch
from torch import Tensor, nn

from vifistore.kernels.dispatch import chosen_way

logger = logging.getLogger("vifi")


class CompiledTower:
    """What a tower gives of pixels; those of a pass that lacks some are filled up with zeros.

    A last batch and a video that cannot be read would otherwise compile it anew, for minutes, in
    the middle of a run. Rows do not depend on one another: gradients are those of the rows given.
    """

    def __init__(self, tower: nn.Module, rows: int) -> None:
        """`rows` are those of a whole pass; nothing is filled up with 0."""
        self._tower = torch.compile(tower, dynamic=False)
        self._rows = rows

    def __call__(self, pixels: Tensor) -> Any:
        """Pixels `[row ...]` -> a tensor `[row ...]` or several by name, as the tower gives it."""
        count = len(pixels)
        if count >= self._rows:
            return self._tower(pixels)
        filling = pixels.new_zeros(self._rows - count, *pixels.shape[1:])
        given = self._tower(torch.cat([pixels, filling]))
        if isinstance(given, dict):
            return {name: value[:count] for name, value in given.items()}
        return given[:count]


def compiles_on(device: torch.device) -> bool:
    """Whether towers are compiled on a device: on a GPU, which may lack a C compiler and is told of
    then."""
    if device.type != "cuda":
        return False
    way = chosen_way(torch.empty(1, device=device))
    if not way.is_kernel:
        logger.warning("the image tower runs uncompiled: %s", way.reason)
    return way.is_kernel
