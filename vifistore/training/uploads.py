"""Tensors on their way to the device, of which nobody waits for what the device does meanwhile."""

import torch
from torch import Tensor


def uploaded(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor `[...]` on a device; itself where it is there.

    A GPU takes it from pinned memory, which is not used again before: from any other the copy, and
    the thread that asks for it, would wait until all is done that the stream was given before.
    """
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
