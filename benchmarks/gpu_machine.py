"""Claim: this machine has what the steps of `benchmarks/gpu.sh` need.

    python -m benchmarks.gpu_machine --device cuda

One row says what is there: processor and memory, GPU, driver, versions, a C compiler and Python's
header, both of which Triton starts with, and of each decoder its version or why it is not to be
had. `missing` names what the steps import in vain.
"""

import os
import platform
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from vifi.bench.bench_settings import Bench
from vifi.bench.recording import script
from vifistore.errors import UsageError, first_line
from vifistore.frames.decoders.decoding import DECODERS, decoder_version

CASE = ("case",)
_MODULES = (
    *("av", "donfig", "filelock", "ftfy", "google_crc32c", "hypothesis", "numcodecs"),
    *(
        "open_clip",
        "pandas",
        "PIL",
        "pytest",
        "regex",
        "safetensors",
        "timm",
        "torch",
        "torchvision",
    ),
    *("triton", "tyro", "xdist", "zarr", "zarrs"),
)


@dataclass(frozen=True, kw_only=True)
class GpuMachine(Bench):
    """Say what a machine has."""

    device: str = "auto"
    """cpu, cuda, cuda:1, or auto."""


def run(settings: GpuMachine) -> Iterator[dict]:
    """The one row. Raises UsageError, once it is there, where something is missing."""
    import torch

    from vifistore.models import torchvision_operators

    # Else torchvision cannot be imported beside a CPU build of torch.
    torchvision_operators.prepare()
    capability = torch.cuda.get_device_capability() if torch.cuda.is_available() else ()
    missing = [name for name in _MODULES if not _is_there(name)]
    yield {
        "case": "machine",
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gigabytes": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "capability": ".".join(map(str, capability)),
        "cuda": torch.version.cuda or "",
        "compiler": _first_line_of(["cc", "--version"]),
        "python_header": Path(sysconfig.get_path("include"), "Python.h").is_file(),
        "missing": missing,
        "installed": {name: _version(name) for name in ("pandas", "timm", "torchvision")},
        "decoders": {name: _decoder(name) for name in DECODERS},
    }
    if missing:
        raise UsageError(f"the steps import {', '.join(missing)}; name them to gpu_wheels.sh")


def _is_there(module: str) -> bool:
    try:
        import_module(module)
    except ImportError:
        return False
    return True


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _decoder(name: str) -> str:
    """The version of a decoder, or why there is none."""
    try:
        return decoder_version(name)
    except UsageError as error:
        return first_line(error)


def _first_line_of(command: list[str]) -> str:
    """What a program says of itself first; empty where it is not there."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return first_line(done.stdout) if done.stdout else ""


if __name__ == "__main__":
    script("gpu_machine", GpuMachine, run, CASE, __doc__)
