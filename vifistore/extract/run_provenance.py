"""Where and with what a number was made."""

import os
import platform
import socket
from datetime import UTC, datetime

import torch

from vifistore.extract.extract_settings import ExtractSettings
from vifistore.store.provenance import command_line, package_versions

_PACKAGES = ("vifistore", "torch", "open_clip_torch", "zarr", "decord2", "av", "torchcodec")


def machine_provenance(device: torch.device) -> dict:
    """Return host, device, versions, command line and time."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "device": device_name(device),
        "versions": {"python": platform.python_version(), **package_versions(_PACKAGES)},
        "command": command_line(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def device_name(device: torch.device) -> str:
    """What a device is called, for instance "NVIDIA H200" or "cpu (x86_64)"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({platform.machine()})"


def run_facts(settings: ExtractSettings, precision: str, device: torch.device) -> dict:
    """What decides the speed of an extraction."""
    names = ("model", "preprocess", "decoder", "frames", "clips", "crops")
    named = {name: getattr(settings, name) for name in names}
    return {**named, "precision": precision, "device": device_name(device)}
