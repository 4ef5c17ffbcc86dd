"""How fast a device multiplies matrices at best: the measure of what a tower makes of it."""

import contextlib
import json
import os
import socket
import time
from pathlib import Path

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
    left @ left
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matmul_rate(device: torch.device, dtype: torch.dtype, reached: float = 0.0) -> float:
    """`measure_matmul`, measured once for each machine, device and number of threads.

    It is measured again, and the larger of the two is kept, where a tower `reached` more: the
    machine was busy then.
    Reader in `vifistore/matmul_rates.json` of the user's cache folder (`XDG_CACHE_HOME`, else
    `~/.cache`); delete it to measure anew.
    """
    key = " | ".join([socket.gethostname(), _name(device), str(dtype)])
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(home) / "vifistore" / "matmul_rates.json"
    known = _read(path)
    before = known.get(key) if isinstance(known.get(key), int | float) else 0.0
    if before <= reached:
        known[key] = max(before, measure_matmul(device, dtype))
        _write(path, known)
    return float(known[key])


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"


def _read(path: Path) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, rates: dict) -> None:
    # A cache that cannot be written is measured again next time.
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(rates, indent=1), encoding="utf-8")
        temporary.replace(path)
