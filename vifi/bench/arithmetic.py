"""How much arithmetic a forward pass is, and how much a device does in a second at best."""

import copy
import logging
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from vifistore.models.encoders import LoadedModel

logger = logging.getLogger("vifi")

# Large enough to fill the device, and a few milliseconds each. The first ones are slower, and on a
# CPU other programs disturb some.
_SIDES = {"cuda": 8192, "cpu": 1024}
_SECONDS = 0.25
_MIN_REPEATS = 3


def forward_flops(module: torch.nn.Module, *shapes: tuple[int, ...]) -> int:
    """Floating-point operations of a forward pass over inputs of these shapes.

    A multiply-accumulate is two. Matrix products, convolutions and attention are counted, as in
    torch's own counter; what papers call GFLOPs is often the number of multiply-accumulates, half
    of this. Nothing is computed: tensors have shapes and no data.
    """
    # Weights that two modules share would stay as a call with others had left them.
    shadow = copy.deepcopy(module).to("meta")
    dtype = next(module.parameters()).dtype
    inputs = tuple(torch.empty(shape, dtype=dtype, device="meta") for shape in shapes)
    whole_layers = torch.backends.mha.get_fastpath_enabled()
    # The counter does not know the operation that stands for a whole attention layer.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            shadow(*inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(whole_layers)
    return counter.get_total_flops()


def image_flops(loaded: LoadedModel, tower: torch.nn.Module | None = None) -> int:
    """Floating-point operations of the image tower for one frame, or of the `tower` that runs in
    its place.

    0 for a tower with operations that need data, not only shapes: those cannot be counted.
    """
    try:
        return forward_flops(tower or loaded.image_tower, (1, 3, *loaded.image_size))
    except RuntimeError as error:
        logger.info("arithmetic of %s is not counted: %s", loaded.model, str(error).split("\n")[0])
        return 0


def measure_matmul(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second of a square matrix product, the best of a few."""
    side = _SIDES[device.type]
    left = torch.randn(side, side, device=device).to(dtype)
    times: list[float] = []
    while len(times) < _MIN_REPEATS or sum(times) < _SECONDS:
        times.append(_product_seconds(left, device))
    return 2 * side**3 / min(times)


def _product_seconds(left: torch.Tensor, device: torch.device) -> float:
    _wait(device)
    start = time.perf_counter()
    torch.mm(left, left)
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
