"""How fast a device multiplies matrices at best: the measure of what a tower makes of it."""

import time

import torch

# Large enough to fill the device, and a few milliseconds each. The first ones are slower, and on a
# CPU other programs disturb some.
_SIDES = {"cuda": 8192, "cpu": 1024}
_SECONDS = 0.25
_MIN_REPEATS = 3


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
