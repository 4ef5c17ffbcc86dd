"""How long a call takes and how much memory, and on which machine."""

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import torch

from vifistore.kernels.dispatch import triton
from vifistore.store.provenance import package_versions

QUANTILES = (0.2, 0.5, 0.8)
_GPU_MILLISECONDS = 500
# After so long no further call is begun, but for the first few.
_CPU_SECONDS, _FEWEST = 20.0, 3
_PACKAGES = ("vifistore", "torch", "triton", "open_clip_torch", "decord2", "av", "torchcodec")


class Seconds(NamedTuple):
    """Quantiles of the time of one call."""

    p20: float
    p50: float
    p80: float

    def row(self) -> dict[str, float]:
        """As fields of a row, in milliseconds."""
        return {f"{name}_ms": 1e3 * value for name, value in self._asdict().items()}


def seconds(function: Callable[[], object], repeats: int, device: torch.device) -> Seconds:
    """Time calls of a function; on a GPU by its own clock, with its caches cleared before each."""
    if device.type == "cuda":
        # It times the current GPU, which need not be the one that is asked for.
        with torch.cuda.device(device):
            times = triton.testing.do_bench(function, rep=_GPU_MILLISECONDS, quantiles=QUANTILES)
        return Seconds(*(milliseconds / 1e3 for milliseconds in times))
    function()
    times: list[float] = []
    while len(times) < repeats and (len(times) < _FEWEST or sum(times) < _CPU_SECONDS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return quantiles(times)


def quantiles(times: list[float]) -> Seconds:
    """Quantiles of measured times."""
    if len(times) == 1:
        return Seconds(*times * 3)
    tenths = statistics.quantiles(times, n=10, method="inclusive")
    return Seconds(*(tenths[round(quantile * 10) - 1] for quantile in QUANTILES))


def peak_bytes(function: Callable[[], object], device: torch.device) -> int | None:
    """Memory of the device that one call takes above what was held before it; None on a CPU."""
    if device.type != "cuda":
        return None
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    function()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def num_bytes(*tensors: torch.Tensor) -> int:
    """Bytes of tensors together."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def machine(device: torch.device) -> dict:
    """Where and with what rows are made."""
    cores = len(os.sched_getaffinity(0))
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "device_type": device.type,
        "driver": _driver() if device.type == "cuda" else "",
        "machine": f"{platform.system()} {platform.machine()}, {cores} cores",
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), **package_versions(_PACKAGES)},
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _processor() -> str:
    """The processor's own name, where the system tells it."""
    table = Path("/proc/cpuinfo")
    lines = table.read_text(encoding="utf-8").splitlines() if table.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _driver() -> str:
    """Version of NVIDIA's driver; empty where nvidia-smi is not there to say it."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.split()[0] if done.stdout.split() else ""
