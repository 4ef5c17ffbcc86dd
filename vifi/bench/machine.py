"""On which machine and with which versions a row is made."""

import functools
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from vifistore.store.provenance import package_versions

FIELDS = ("device", "device_type", "driver", "machine", "threads", "versions", "time")
"""What `machine` adds to a row."""

_PACKAGES = (
    *("vifistore", "torch", "triton", "open_clip_torch", "decord2", "av", "torchcodec"),
    *("numpy", "zarr", "zarrs", "numcodecs", "pillow", "scikit-learn", "openTSNE", "faiss-cpu"),
)


def machine(device: str = "cpu") -> dict:
    """Where and with what rows are made: `FIELDS`, of a device as `--device` names it."""
    # Only now: what is measured before must not pay for the import.
    import torch

    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {**_fixed(device), "threads": torch.get_num_threads(), "time": now}


@functools.cache
def _fixed(device: str) -> dict:
    """What is the same for all rows of a process: asking for it takes a program and many files."""
    import torch

    from vifistore.extract.recipes import choose_device

    chosen = choose_device(device)
    on_gpu = chosen.type == "cuda"
    cores = len(os.sched_getaffinity(0))
    return {
        "device": torch.cuda.get_device_name(chosen) if on_gpu else _processor(),
        "device_type": chosen.type,
        "driver": _driver() if on_gpu else "",
        "machine": f"{platform.system()} {platform.machine()}, {cores} cores",
        "versions": {"python": platform.python_version(), **package_versions(_PACKAGES)},
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
