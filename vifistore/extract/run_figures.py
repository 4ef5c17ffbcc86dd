"""Where and with what a run was made, and what it took: one row, kept beside the store."""

import contextlib
import json
import os
import platform
import resource
import socket
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vifistore.extract.clock import STAGES, Clock
from vifistore.files import parse_json, read_regular, regular_opener
from vifistore.store.provenance import command_line, package_versions

if TYPE_CHECKING:
    import torch

    from vifistore.extract.extract_settings import ExtractSettings

RUNS_FILE = "extractions.jsonl"
"""Rows of the runs on this machine, in the folder of the store's cache."""

# Which must be equal, too, and which rows of before do not name.
_RATES = ("fps", "every")
# What must be equal for the speed of one run to tell about another.
SAME = ("model", "precision", "device", "preprocess", "decoder", "frames", "clips", "crops")


_PACKAGES = ("vifistore", "torch", "open_clip_torch", "zarr", "decord2", "av", "torchcodec")


def machine_provenance(device: "torch.device") -> dict:
    """Return host, device, versions, command line and time."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "device": device_name(device),
        "versions": {"python": platform.python_version(), **package_versions(_PACKAGES)},
        "command": command_line(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def device_name(device: "torch.device") -> str:
    """What a device is called, for instance "NVIDIA H200" or "cpu (x86_64)"."""
    if device.type == "cuda":
        import torch

        return torch.cuda.get_device_name(device)
    return f"cpu ({platform.machine()})"


def run_facts(settings: "ExtractSettings", precision: str, device: "torch.device") -> dict:
    """What decides the speed of an extraction."""
    facts = {name: getattr(settings, name) for name in SAME if name not in ("precision", "device")}
    rates = {name: getattr(settings, name) for name in _RATES if getattr(settings, name)}
    return {**facts, **rates, "precision": precision, "device": device_name(device)}


def figures(counts: Mapping[str, int], num_frames: int, clock: Clock) -> dict:
    """The numbers of a run.

    `counts` are the numbers of videos by kind of result. Shares are of the run's time: what its
    main thread did, or waited for.
    """
    seconds = clock.seconds
    return {
        "encoded": counts["encoded"],
        "reused": counts["copied"],
        "quarantined": counts["quarantined"],
        "frames_encoded": num_frames,
        "seconds": round(seconds, 3),
        "videos_per_second": round(sum(counts.values()) / seconds, 3),
        "frames_per_second": round(num_frames / seconds, 3),
        **{f"{name}_share": round(share, 4) for name, share in clock.shares().items()},
        "peak_mebibytes": round(_peak_mebibytes()),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _peak_mebibytes() -> float:
    # Linux counts KiB, macOS bytes.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def summary(row: Mapping) -> str:
    """The row in one line."""
    shares = ", ".join(f"{name} {row[f'{name}_share']:.0%}" for name in (*STAGES, "idle"))
    speed = f"{row['videos_per_second']:.1f} videos/s, {row['frames_per_second']:.1f} frames/s"
    return f"{row['seconds']:.1f} s: {speed}; {shares}"


def keep(row: Mapping, cache_folder: Path) -> None:
    """Add a row to the runs of this store; a folder that cannot be written is no obstacle."""
    with contextlib.suppress(OSError):
        cache_folder.mkdir(parents=True, exist_ok=True)
        path = cache_folder / RUNS_FILE
        with open(path, "a", encoding="utf-8", opener=regular_opener) as file:
            file.write(json.dumps(row) + "\n")


def kept_runs(cache_folder: Path) -> list[dict]:
    """The rows of the runs of a store, the oldest first."""
    try:
        lines = read_regular(cache_folder / RUNS_FILE).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    rows = []
    for line in lines:
        # The last line of a run that was killed is half a row.
        with contextlib.suppress(ValueError):
            rows.append(parse_json(line))
    return [row for row in rows if isinstance(row, dict)]


def last_run(cache_folder: Path, wanted: Mapping) -> dict | None:
    """The newest kept row that was made the same way, and encoded something."""
    for row in reversed(kept_runs(cache_folder)):
        is_same = all(row.get(name) == wanted.get(name) for name in (*SAME, *_RATES))
        if row.get("frames_encoded") and is_same:
            return row
    return None
